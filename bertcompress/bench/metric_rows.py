"""What each example adds to the primary metric, so that the metric can be resampled.

Every primary metric is a function of sums over examples:

    mean       sum of scores / examples                      accuracy, span F1, cosine
    f1         2 TP / (predicted + gold)                     entity F1, micro F1
    pearson    from the sums of x, y, xx, yy, xy             correlation

so the bootstrap draws examples, adds up their rows and computes the metric of the sums: exact,
and cheap enough for thousands of draws. A metric that can't be rebuilt from its rows gets no
interval; that is checked against the task's own value, never assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcompress.data.tag_scheme import OUTSIDE, scheme_of
from bertcompress.examples import Example, QuestionExample, TextExample, TokenExample
from bertcompress.tasks.base import Prediction, Score

Matrix = NDArray[np.float64]
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class MetricRows:
    """A metric in parts.

    Attributes:
        rows: float64 ``[examples, columns]``.
        statistic: Maps column sums ``[draws, columns]`` to the metric ``[draws]``.
        binary: Whether every example is simply right or wrong.
    """

    rows: Matrix
    statistic: Callable[[Matrix], Matrix]
    binary: bool


def metric_rows(
    score: Score, predictions: Sequence[Prediction], examples: Sequence[Example]
) -> MetricRows | None:
    """Returns the primary metric in parts, or None where it can't be rebuilt from examples."""
    rows = _rows(score, predictions, examples)
    if not len(rows.rows):
        return None
    value = float(rows.statistic(rows.rows.sum(axis=0, keepdims=True))[0])
    return rows if abs(value - score.value) < _TOLERANCE else None


def _rows(
    score: Score, predictions: Sequence[Prediction], examples: Sequence[Example]
) -> MetricRows:
    if score.primary == "pearson":
        return MetricRows(_moment_rows(predictions, examples), _pearson, binary=False)
    # The F1 of spans is a mean over questions, every other F1 one over all counts.
    if score.primary.startswith("f1") and not isinstance(examples[0], QuestionExample):
        return MetricRows(_count_rows(predictions, examples), _f1, binary=False)
    correct = np.asarray(score.correct, dtype=np.float64)[:, None]
    binary = bool(np.isin(correct, (0.0, 1.0)).all())
    return MetricRows(np.hstack([correct, np.ones_like(correct)]), _mean, binary)


def _mean(sums: Matrix) -> Matrix:
    return np.asarray(sums[:, 0] / np.maximum(sums[:, 1], 1.0))


def _f1(sums: Matrix) -> Matrix:
    return np.asarray(2.0 * sums[:, 0] / np.maximum(sums[:, 1] + sums[:, 2], 1.0))


def _pearson(sums: Matrix) -> Matrix:
    count, x, y, xx, yy, xy = sums.T
    spread = (count * xx - x * x) * (count * yy - y * y)
    return np.asarray((count * xy - x * y) / np.sqrt(np.maximum(spread, 1e-300)))


def _count_rows(predictions: Sequence[Prediction], examples: Sequence[Example]) -> Matrix:
    """Returns true positives, predicted and gold items of each example."""
    answers = _item_sets([prediction.answer for prediction in predictions], examples)
    golds = _item_sets([_gold(example) for example in examples], examples)
    rows = [
        (len(said & gold), len(said), len(gold)) for said, gold in zip(answers, golds, strict=True)
    ]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 3)


def _moment_rows(predictions: Sequence[Prediction], examples: Sequence[Example]) -> Matrix:
    rows = []
    for prediction, example in zip(predictions, examples, strict=True):
        gold = _gold(example)
        if not isinstance(prediction.answer, float) or not isinstance(gold, float | int):
            return np.empty((0, 6))
        x, y = prediction.answer, float(gold)
        rows.append((1.0, x, y, x * x, y * y, x * y))
    return np.asarray(rows, dtype=np.float64).reshape(-1, 6)


def _gold(example: Example) -> object:
    if isinstance(example, TextExample):
        return example.label
    return example.tags if isinstance(example, TokenExample) else None


def _item_sets(answers: Sequence[object], examples: Sequence[Example]) -> list[frozenset[object]]:
    """Returns the classes or, of tagged words, the entities of each answer."""
    tuples = [
        answer if isinstance(answer, tuple) else (answer,) if isinstance(answer, str) else ()
        for answer in answers
    ]
    if not isinstance(examples[0], TokenExample):
        return [frozenset(row) for row in tuples]
    tagged = [[str(tag) for tag in row] for row in tuples]
    scheme = scheme_of([OUTSIDE, *(tag for tags in tagged for tag in tags)])
    return [frozenset(scheme.entities(tags) if scheme is not None else ()) for tags in tagged]
