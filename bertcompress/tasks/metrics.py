"""Metrics as formulas: precision, recall and F1 of classes, Pearson and Spearman correlation.

precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN); 0 where the
denominator is 0. *Micro* adds the counts of all classes before it divides, *macro* averages the
classes' own figures, over the classes that occur in the gold labels or in the answers (as
scikit-learn does). With 3 right of 4 answers and 6 gold: P = 0.75, R = 0.5, F1 = 0.6.

    >>> score = Counts(3, 1, 3).score
    >>> score.precision, score.recall, round(score.f1, 3), score.support
    (0.75, 0.5, 0.6, 6)

Pearson: r = cov(x, y) / (sd x * sd y). Spearman: Pearson of the ranks, ties at their mean rank.
Both are undefined when one side is constant, and given as 0 then: nothing is told apart.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcompress.tasks.base import ClassScore

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives of one class, or of all together."""

    true_positive: int
    false_positive: int
    false_negative: int

    @property
    def score(self) -> ClassScore:
        """Precision, recall and F1."""
        hits, extra, missed = self.true_positive, self.false_positive, self.false_negative
        return ClassScore(
            precision=_ratio(hits, hits + extra),
            recall=_ratio(hits, hits + missed),
            f1=_ratio(2 * hits, 2 * hits + extra + missed),
            support=hits + missed,
        )


def count_classes(
    gold: Sequence[Set[str]], answers: Sequence[Set[str]], labels: Sequence[str]
) -> dict[str, Counts]:
    """Returns the counts of each label that occurs on either side, in the order of `labels`.

    Args:
        gold: The right labels of each example.
        answers: The labels that were answered.
        labels: All labels.
    """
    hits, extra, missed = (dict.fromkeys(labels, 0) for _ in range(3))
    for right, answered in zip(gold, answers, strict=True):
        for label in right & answered:
            hits[label] += 1
        for label in answered - right:
            extra[label] += 1
        for label in right - answered:
            missed[label] += 1
    counts = {label: Counts(hits[label], extra[label], missed[label]) for label in labels}
    return {label: count for label, count in counts.items() if count != Counts(0, 0, 0)}


def micro(counts: dict[str, Counts]) -> ClassScore:
    """Returns the score of all classes' counts added up."""
    return Counts(
        sum(count.true_positive for count in counts.values()),
        sum(count.false_positive for count in counts.values()),
        sum(count.false_negative for count in counts.values()),
    ).score


def macro(counts: dict[str, Counts]) -> ClassScore:
    """Returns the mean of the classes' own scores."""
    scores = [count.score for count in counts.values()]
    return ClassScore(
        precision=mean([score.precision for score in scores]),
        recall=mean([score.recall for score in scores]),
        f1=mean([score.f1 for score in scores]),
        support=sum(score.support for score in scores),
    )


def mean(values: Sequence[float]) -> float:
    """Returns the mean, or 0 of nothing."""
    return sum(values) / len(values) if values else 0.0


def pearson(left: Floats, right: Floats) -> float:
    """Returns the linear correlation of two vectors, -1..1."""
    if left.size < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])


def spearman(left: Floats, right: Floats) -> float:
    """Returns the correlation of two vectors' ranks, -1..1."""
    return pearson(ranks(left), ranks(right))


def ranks(values: Floats) -> Floats:
    """Returns the ranks from 1, ties at their mean.

    >>> ranks(np.array([10.0, 30.0, 30.0, 20.0])).tolist()
    [1.0, 3.5, 3.5, 2.0]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_ranks: Floats = last - (counts - 1) / 2
    return mean_ranks[inverse]


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
