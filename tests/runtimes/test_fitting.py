"""What tasks make becomes what a graph declares; the judge is a function of the ids alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bertcompress.errors import LoadError, RunError
from bertcompress.runtimes.fitting import IN_MEMORY, ModelFacts, fitting_of

TASK = ModelFacts("g", "token-classification")
PLAIN = dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), ("int64", ("b", "s")))
IDS = np.array([[5, 6, 7], [8, 0, 0], [4, 9, 0]])
FEED = {"input_ids": IDS, "attention_mask": (IDS > 0).astype(np.int64), "token_type_ids": IDS * 0}


def _with(**inputs: Any) -> dict[str, Any]:
    return {**PLAIN, **inputs}


def test_a_plain_graph_needs_no_fitting() -> None:
    assert fitting_of(PLAIN, ["logits"], TASK) is None
    assert fitting_of({"x": ("float32", (1, 2))}, ["y"], IN_MEMORY) is None


def _answers(inputs: dict[str, Any], facts: ModelFacts = TASK) -> tuple[Any, list[dict[str, Any]]]:
    fitting = fitting_of(inputs, ["output_0"], facts)
    assert fitting is not None
    feeds: list[dict[str, Any]] = []

    def run(feed: Any) -> dict[str, Any]:
        feeds.append(feed)
        ids = next(feed[name] for name in feed if "ids" in name)
        return {"output_0": ids[:, :, None].astype(np.float16)}

    return fitting.run(FEED, run)["logits"][:, :, 0], feeds


def test_names_and_types_are_the_graphs_own() -> None:
    inputs = {"ids": ("int32", (None, None)), "input_mask": ("float32", (None, None))}

    found, (feed,) = _answers(inputs)

    assert [value.dtype for value in feed.values()] == [np.int32, np.float32]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, IDS)


@pytest.mark.parametrize(("texts", "runs"), [(1, 3), (2, 2), (5, 1)])
def test_batches_are_split_and_filled_up(texts: int, runs: int) -> None:
    axes = ("int64", (texts, 4))
    found, feeds = _answers(dict.fromkeys(PLAIN, axes))

    assert [feed["input_ids"].shape for feed in feeds] == [(texts, 4)] * runs
    assert all(feed["attention_mask"].any(axis=1).all() for feed in feeds)
    np.testing.assert_array_equal(found * FEED["attention_mask"], IDS)


def test_without_a_mask_texts_of_one_length_share_a_run() -> None:
    found, feeds = _answers({"input_ids": ("int64", ("b", "s"))})

    assert [feed["input_ids"].shape for feed in feeds] == [(1, 1), (1, 2), (1, 3)]
    np.testing.assert_array_equal(found, IDS)


def test_positions_are_counted_from_the_familys_first() -> None:
    facts = ModelFacts("g", "token-classification", segments=False, first_position=2)
    fitting = fitting_of(_with(position_ids=("int64", ("b", "s"))), ["logits"], facts)
    assert fitting is not None
    assert fitting.offered == ("input_ids", "attention_mask")
    feeds: list[Any] = []

    fitting.run(
        {name: FEED[name] for name in fitting.offered},
        lambda feed: feeds.append(feed) or {"logits": feed["input_ids"][:, :, None]},
    )

    assert feeds[0]["position_ids"][0].tolist() == [2, 3, 4]
    assert not feeds[0]["token_type_ids"].any()


def test_a_text_that_is_too_long_is_refused_and_padding_is_cut() -> None:
    fixed = dict.fromkeys(PLAIN, ("int64", ("b", 2)))
    with pytest.raises(RunError, match="g takes texts of 2 tokens, got 3; cut them with --max-len"):
        _answers(fixed)

    fitting = fitting_of(fixed, ["logits"], TASK)
    assert fitting is not None
    short = {name: values[1:] for name, values in FEED.items()}
    found = fitting.run(short, lambda feed: {"logits": feed["input_ids"][:, :, None]})
    assert found["logits"][:, :, 0].tolist() == [[8, 0, 0], [4, 9, 0]]


def test_other_axes_and_unknown_names_are_refused() -> None:
    with pytest.raises(RunError, match=r"takes attention_mask as int64 \[b, 1, 1, s\], an encoder"):
        fitting_of(_with(attention_mask=("int64", ("b", 1, 1, "s"))), ["logits"], TASK)
    with pytest.raises(LoadError, match="it is not known what pixels is"):
        fitting_of(_with(pixels=("int64", ("b", "s"))), ["logits"], TASK)
