"""Random words: only when asked for, and the table says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.passes.context import Context
from bertcompress.passes.ranges import Ranges
from bertcompress_calibration import RANDOM, calibrate_ranges, random_texts

Graphs = Callable[..., OnnxModel]
TASKS = (
    *("text-classification", "token-classification"),
    *("question-answering", "feature-extraction"),
)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_can_be_calibrated_on_them(task: str, tiny_graph: Graphs) -> None:
    model = tiny_graph(task=task)

    context = Context(random_texts(model, 12, seed=1), split=RANDOM)
    table = calibrate_ranges(model, Ranges(samples=12), context, seed=0)

    assert table.split == "random"
    assert len(table.sample_ids) == 12
    assert all(one.startswith("random:") for one in table.sample_ids)


def test_a_seed_draws_the_same(tiny_graph: Graphs) -> None:
    model = tiny_graph()

    first, again, other = (random_texts(model, 5, seed=seed) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_words_are_those_of_the_vocabulary_and_none_is_special(tiny_graph: Graphs) -> None:
    model = tiny_graph()

    ids = [model.tokenizer(one.text)["input_ids"][1:-1] for one in random_texts(model, 40, seed=0)]  # type: ignore[union-attr]  # a text classifier's

    drawn = {one for row in ids for one in row}
    assert len(drawn) > len(model.tokenizer) / 3
    assert not drawn & set(model.tokenizer.all_special_ids)
