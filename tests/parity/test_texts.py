"""The texts of a ladder: what drawn tokens are held to, who answers alike, which text is worst."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.examples import TextExample
from bertcompress.parity.bounds import BOUNDS
from bertcompress.parity.texts import ParityTexts, drawn_texts
from bertcompress.tasks.base import Feature
from bertcompress.tasks.text_classification import TextClassification

TASK = TextClassification(("negative", "positive"))
LENGTHS = (3, 5, 2)


def texts(*labels: int) -> ParityTexts:
    """Makes texts of the three lengths, with examples where there are labels."""
    features = [
        Feature(
            at,
            {"input_ids": np.arange(length), "attention_mask": np.ones(length, dtype=np.int64)},
            {"labels": np.int64(labels[at])} if labels else {},  # type: ignore[dict-item]  # a scalar
        )
        for at, length in enumerate(LENGTHS)
    ]
    examples = [
        TextExample(str(at), "a", label=TASK.labels[label]) for at, label in enumerate(labels)
    ]
    return ParityTexts(TASK, features, examples, words="in a test")


def logits(*rows: tuple[float, float]) -> list[dict[str, np.ndarray]]:
    return [{"logits": np.array(row, dtype=np.float32)} for row in rows]


EXPECTED = logits((2.0, 0.0), (0.0, 3.0), (1.0, 0.0))
FLIPPED = logits((2.0, 0.1), (0.0, 2.0), (0.4, 0.5))  # the last one answers otherwise


def test_answers_are_compared_text_by_text() -> None:
    assert texts().agreement(EXPECTED, EXPECTED) == 1.0
    assert texts().agreement(EXPECTED, FLIPPED) == pytest.approx(2 / 3)


def test_all_values_of_all_texts_are_compared() -> None:
    parity = texts().parity(EXPECTED, FLIPPED)

    assert (parity.figures.values_compared, parity.figures.batches) == (6, 3)
    assert parity.figures.largest_difference == pytest.approx(1.0)


def test_the_worst_text_comes_with_the_longest() -> None:
    apart = logits((2.0, 0.0), (0.0, 3.0), (1.0, 9.0))

    batch = texts().worst(EXPECTED, apart)

    assert batch["attention_mask"].sum(axis=1).tolist() == [2, 5]
    longest_alone = texts().worst(EXPECTED, logits((2.0, 0.0), (0.0, 9.0), (1.0, 0.0)))
    assert longest_alone["attention_mask"].sum(axis=1).tolist() == [5]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_worse_than_any(bad: float) -> None:
    batch = texts().worst(EXPECTED, logits((bad, 0.0), (0.0, 9.0), (1.0, 0.0)))

    assert batch["attention_mask"].sum(axis=1).tolist() == [3, 5]


def test_only_labelled_texts_are_judged() -> None:
    predictions, score = texts(0, 1, 0).judged(FLIPPED)
    assert len(predictions) == 3
    assert score is not None
    assert score.values[score.primary] == pytest.approx(2 / 3)

    assert texts().judged(FLIPPED) == ([], None)


def test_drawn_tokens_have_no_meaning_to_be_held_to(
    tiny_checkpoint: Callable[..., Checkpoint],
) -> None:
    drawn = drawn_texts(tiny_checkpoint(), seed=3)

    bounds = drawn.bounded(BOUNDS["int8"])
    assert (bounds.min_agreement, bounds.max_drop) == (None, None)
    assert bounds.min_sqnr == BOUNDS["int8"].min_sqnr
    assert texts(0, 1, 0).bounded(BOUNDS["int8"]) == BOUNDS["int8"]
    lengths = {feature.length for feature in drawn.features}
    assert {1, 128} <= lengths  # from a single token to the model's longest
    assert all((feature.inputs["attention_mask"] == 1).all() for feature in drawn.features)
