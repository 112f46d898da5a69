"""A served model answers as the predictor does, once for equal texts, and tells what it cut."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bertcompress.inference.predictor import Predictor
from bertcompress.serve.model import (
    Asker,
    Given,
    Seconds,
    ServedModel,
    TooLongError,
    version_of,
)
from bertcompress.serve.server import open_model
from bertcompress.serve.settings import ModelSettings, ServeSettings
from bertcompress.tasks import TASK_NAMES

LONG = "good film " * 1500
SETTINGS = ServeSettings(engines="inline")


def run_with(folder: Path, work: Callable[[ServedModel], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        model = await open_model(
            "m",
            ModelSettings(folder),
            SETTINGS,
            several_keys=False,
            note=lambda sentence: None,
        )
        try:
            return await work(model)
        finally:
            await model.dispatcher.close()
            model.close()

    return asyncio.run(whole())


@pytest.mark.parametrize("task", TASK_NAMES)
def test_answers_are_the_predictors(graph_folder: Callable[..., Path], task: str) -> None:
    folder = graph_folder(task=task)
    texts = ["anna lives in berlin", "the film is not good", LONG]
    pair = "anna lives in berlin" if task == "question-answering" else None

    async def work(model: ServedModel) -> list[dict[str, Any]]:
        given = [Given(text, pair) for text in texts[: 2 if pair else 3]]
        answers = await model.answers(given, Asker(), Seconds())
        return [json.loads(answer.body) for answer in answers]

    found = run_with(folder, work)
    with Predictor.open(folder) as opened:
        from bertcompress.inference.predictor import examples_of

        examples = examples_of(opened.task.name, texts[: len(found)], pair=pair)
        for row, example in zip(found, examples, strict=True):
            prediction = opened.predict([example]).predictions[0]
            expected = opened.task.to_json(example, prediction)
            expected.pop("id")
            tokens, cut = row.pop("tokens"), row.pop("truncated")
            assert tokens > 2
            assert cut == (example is examples[-1] and len(found) == 3)
            _same(row, json.loads(json.dumps(expected)))


def _same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            _same(found[name], expected[name])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            _same(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-5)
    else:
        assert found == expected


def test_equal_texts_are_run_once(graph_folder: Callable[..., Path]) -> None:
    async def work(model: ServedModel) -> tuple[Seconds, Seconds, int]:
        first, second = Seconds(), Seconds()
        await model.answers([Given("good film")] * 5, Asker(), first)
        await model.answers([Given("good film")], Asker(), second)
        return first, second, model.dispatcher.counts.items

    first, second, run = run_with(graph_folder(), work)
    assert (first.joins, second.hits, run) == (4, 1, 1)


def test_known_answers_can_be_declined(graph_folder: Callable[..., Path]) -> None:
    async def work(model: ServedModel) -> int:
        for _ in range(3):
            await model.answers([Given("good")], Asker(cached=False), Seconds())
        return model.dispatcher.counts.items

    assert run_with(graph_folder(), work) == 3


def test_whoever_joins_is_answered_when_the_first_leaves(
    graph_folder: Callable[..., Path],
) -> None:
    async def work(model: ServedModel) -> str:
        first = asyncio.create_task(model.answers([Given("bad film")], Asker(), Seconds()))
        await asyncio.sleep(0)
        joining = asyncio.create_task(model.answers([Given("bad film")], Asker(), Seconds()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        [answer] = await joining
        return str(answer.prediction.answer)

    assert run_with(graph_folder(), work) in ("positive", "negative")


def test_a_long_text_can_be_refused(graph_folder: Callable[..., Path]) -> None:
    async def work(model: ServedModel) -> None:
        await model.answers([Given(LONG, truncate=False)], Asker(), Seconds())

    with pytest.raises(TooLongError, match="3,002 tokens, and the model reads") as raised:
        run_with(graph_folder(), work)
    assert raised.value.tokens == 3002


def test_the_version_follows_the_files(graph_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = graph_folder()
    assert version_of(folder) == version_of(folder)
    plain = tmp_path / "plain"
    shutil.copytree(folder, plain)
    (plain / "bertcompress.json").unlink()
    before = version_of(plain)
    (plain / "config.json").write_text((plain / "config.json").read_text() + "\n")
    assert version_of(plain) != before
