"""A model is measured as it is served."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.errors import DataError, UsageError
from bertcompress.examples import (
    Example,
    QuestionExample,
    TextExample,
    TokenExample,
    UnsplitExample,
)
from bertcompress.recipes.bench_serve_recipe import ServeLoads, bench_serve, bodies_of, numbers_of
from bertcompress.serve.settings import ModelSettings, ServeSettings

TEXTS = tuple(TextExample(str(number), f"film {number}") for number in range(5))


def test_each_load_gives_a_row(graph_folder: Callable[..., Path]) -> None:
    loads = ServeLoads(clients=(1, 4), shares=(0.5,), seconds=0.5)
    settings = ServeSettings(engines="inline", cache_bytes=0)
    told: list[tuple[str, int, int]] = []
    rows = bench_serve(
        ModelSettings(graph_folder()),
        TEXTS,
        settings,
        loads,
        progress=lambda *one: told.append(one),
    )
    assert [row.clients for row in rows] == [1, 4, None]
    assert rows[-1].offered == max(row.texts_per_s for row in rows[:2]) / 2
    assert all(row.texts_per_s > 0 and not row.failed for row in rows)
    assert told[-1] == ("loads", 3, 3)


def test_requests_have_the_texts_in_turn() -> None:
    bodies = [json.loads(body)["inputs"] for body in bodies_of(TEXTS, 2)]
    assert bodies == [["film 0", "film 1"], ["film 2", "film 3"]]
    [many] = [json.loads(body)["inputs"] for body in bodies_of(TEXTS[:2], 3)]
    assert many == ["film 0", "film 1", "film 0"]
    with pytest.raises(DataError, match="nothing to ask"):
        bodies_of((), 1)


@pytest.mark.parametrize(
    ("example", "asked"),
    [
        (TextExample("1", "a", "b"), ["a", "b"]),
        (TokenExample("1", ("a", "b")), "a b"),
        (UnsplitExample("1", ("a", "b"), text="a  b"), "a  b"),
        (QuestionExample("1", "who", "anna"), {"question": "who", "context": "anna"}),
    ],
)
def test_each_kind_of_example_is_asked_as_the_server_takes_it(
    example: Example, asked: object
) -> None:
    assert json.loads(bodies_of([example], 1)[0])["inputs"] == [asked]


@pytest.mark.parametrize(
    ("loads", "word"),
    [
        (ServeLoads(clients=(0,)), "--clients"),
        (ServeLoads(texts_per_request=(0,)), "--texts-per-request"),
        (ServeLoads(shares=(2.5,)), "--shares"),
        (ServeLoads(seconds=0), "--seconds"),
    ],
)
def test_numbers_that_cant_be_meant(loads: ServeLoads, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        loads.check()


def test_words_are_numbers() -> None:
    assert numbers_of("--clients", "1, 16", int) == (1, 16)
    with pytest.raises(UsageError, match="--clients takes whole numbers"):
        numbers_of("--clients", "1.5", int)
    with pytest.raises(UsageError, match="--shares takes numbers"):
        numbers_of("--shares", "half", float)
