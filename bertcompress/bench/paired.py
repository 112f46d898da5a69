"""Two models on the same examples: where they differ, and whether that is more than chance.

A drop of half a point on two thousand sentences is within the accuracy's own interval, yet may be
certain: what counts is only the examples that one of the two got right. So every comparison is
paired. Whole answers (right or wrong) are compared with McNemar's exact test, all other metrics
with the paired bootstrap; the interval of the difference is the paired bootstrap's in both cases.

The *flips* are the examples whose answer changed: the part of the comparison that people
understand at once. Agreement counts answers, right or wrong: a model can lose nothing in accuracy
and still answer one example in ten differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcompress.bench.answer_text import answer_text, example_text, gold_text
from bertcompress.bench.metric_rows import metric_rows
from bertcompress.examples import Example
from bertcompress.inference.answers import Answers
from bertcompress.stats.bootstrap import mean_difference, paired_difference
from bertcompress.stats.intervals import Interval, mcnemar
from bertcompress.tasks.base import Prediction, Score
from bertcompress.tasks.same_answers import same_answers

KEPT_FLIPS = 200


@dataclass(frozen=True)
class Flip:
    """An example whose answer changed.

    Attributes:
        example_id: Where it came from.
        text: Its text, shortened.
        gold: The right answer, as text.
        base: The baseline's answer.
        answer: The variant's answer.
        base_score: The baseline's score for its answer, if the task has one.
        score: The variant's.
        base_correct: 1.0 right, 0.0 wrong, or a partial score.
        correct: The same of the variant.
    """

    example_id: str
    text: str
    gold: str
    base: str
    answer: str
    base_score: float | None
    score: float | None
    base_correct: float
    correct: float


@dataclass(frozen=True)
class Paired:
    """A variant against the baseline on the same examples.

    Attributes:
        agreement: The share of examples with the same answer (`bertcompress.tasks.same_answers`).
        metric: What `difference` is of: the primary metric, or ``mean score`` where that can't
            be resampled.
        difference: Variant minus baseline, with its interval.
        p_value: Two-sided, of "no difference".
        test: The test's name.
        lost: Examples where the variant does worse.
        gained: Examples where it does better.
        logit_kl: Mean Kullback-Leibler divergence of the variant's class probabilities from the
            baseline's, nats; None for tasks without class logits.
        flip_count: How many answers changed.
        flips: The worst of them first.
    """

    agreement: float
    metric: str
    difference: Interval
    p_value: float
    test: str
    lost: int
    gained: int
    logit_kl: float | None
    flip_count: int
    flips: tuple[Flip, ...]


@dataclass(frozen=True)
class Scored:
    """A model's answers with their score."""

    answers: Answers
    score: Score


def score_against(
    base: Scored, variant: Scored, examples: Sequence[Example], *, kept_flips: int = KEPT_FLIPS
) -> Paired:
    """Compares two models' answers to the same examples, example by example."""
    first, second = base.answers.predictions, variant.answers.predictions
    same = same_answers(first, second)
    before = np.asarray(base.score.correct, dtype=np.float64)
    after = np.asarray(variant.score.correct, dtype=np.float64)
    lost, gained = int((after < before).sum()), int((after > before).sum())
    old, new = (metric_rows(s.score, s.answers.predictions, examples) for s in (base, variant))
    metric, test = base.score.primary, "paired bootstrap"
    if old is None or new is None or old.rows.shape != new.rows.shape:
        metric = "mean score"
        difference, p_value = mean_difference(before.tolist(), after.tolist())
    else:
        difference, p_value = paired_difference(old.rows, new.rows, new.statistic)
        if old.binary and new.binary:
            p_value, test = mcnemar(lost, gained), "McNemar, exact"
    flips = [
        _flip(example, first[i], second[i], float(before[i]), float(after[i]))
        for i, example in enumerate(examples)
        if not same[i]
    ]
    flips.sort(key=_badness, reverse=True)
    return Paired(
        agreement=float(np.mean(same)) if same else 1.0,
        metric=metric,
        difference=difference,
        p_value=p_value,
        test=test,
        lost=lost,
        gained=gained,
        logit_kl=logit_divergence(base.answers, variant.answers),
        flip_count=len(flips),
        flips=tuple(flips[:kept_flips]),
    )


def logit_divergence(base: Answers, variant: Answers) -> float | None:
    """Returns the mean KL(base || variant) over examples or tokens, nats; None without classes.

    Columns are matched by their labels' names; other names have no divergence. Softmax over the
    labels; for multi-label models the sum over labels of the divergence of each
    label's own yes or no (sigmoid).
    """
    if not base.logits or len(base.logits) != len(variant.logits):
        return None
    answer = base.predictions[0].answer
    shapes = zip(base.logits, variant.logits, strict=True)
    if isinstance(answer, float | int) or any(one.shape != two.shape for one, two in shapes):
        return None
    columns = _columns(base.labels, variant.labels)
    if columns is None:
        return None
    multi_label = isinstance(answer, tuple) and base.logits[0].ndim == 1
    rows = [np.atleast_2d(logits) for logits in base.logits]
    other = [np.atleast_2d(logits)[:, columns] for logits in variant.logits]
    p, q = np.concatenate(rows).astype(np.float64), np.concatenate(other).astype(np.float64)
    if multi_label:
        p, q = np.stack([p, np.zeros_like(p)], -1), np.stack([q, np.zeros_like(q)], -1)
    log_p, log_q = _log_softmax(p), _log_softmax(q)
    per_label = np.exp(log_p) * (log_p - log_q)
    return float(max(0.0, per_label.reshape(len(p), -1).sum(axis=1).mean()))


def _columns(base: tuple[str, ...], variant: tuple[str, ...]) -> list[int] | slice | None:
    """Returns where the variant has the baseline's labels, None where it has others."""
    if base == variant:
        return slice(None)
    if sorted(base) != sorted(variant):
        return None
    return [variant.index(label) for label in base]


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _flip(
    example: Example, base: Prediction, variant: Prediction, before: float, after: float
) -> Flip:
    return Flip(
        example_id=example.id,
        text=example_text(example),
        gold=gold_text(example),
        base=answer_text(example, base.answer),
        answer=answer_text(example, variant.answer),
        base_score=base.score,
        score=variant.score,
        base_correct=before,
        correct=after,
    )


def _badness(flip: Flip) -> tuple[float, float]:
    change = (flip.base_score or 0.0) + (flip.score or 0.0)  # both sure, and of different answers
    return flip.base_correct - flip.correct, change
