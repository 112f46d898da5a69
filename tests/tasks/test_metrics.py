"""Metrics against hand-computed cases, scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import precision_recall_fscore_support

from bertcompress.tasks.metrics import Counts, count_classes, macro, mean, micro, pearson, spearman

LABELS = ("a", "b", "c")
ANSWERS = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=30
)
NUMBERS = st.lists(
    st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=30
).filter(lambda pairs: all(len(set(side)) > 1 for side in zip(*pairs, strict=True)))


def test_by_hand() -> None:
    gold = [frozenset("a"), frozenset("a"), frozenset("b"), frozenset("b")]
    answers = [frozenset("a"), frozenset("b"), frozenset("b"), frozenset("c")]

    counts = count_classes(gold, answers, LABELS)

    assert counts == {"a": Counts(1, 0, 1), "b": Counts(1, 1, 1), "c": Counts(0, 1, 0)}
    assert counts["a"].score.f1 == pytest.approx(2 / 3)
    assert macro(counts).f1 == pytest.approx((2 / 3 + 0.5 + 0) / 3)
    assert micro(counts).f1 == 0.5


@given(ANSWERS)
@settings(max_examples=30, deadline=None)
def test_macro_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    gold, answers = zip(*pairs, strict=True)

    ours = macro(
        count_classes([frozenset(x) for x in gold], [frozenset(x) for x in answers], LABELS)
    )

    theirs = precision_recall_fscore_support(gold, answers, average="macro", zero_division=0)
    assert (ours.precision, ours.recall, ours.f1) == pytest.approx(theirs[:3])


@given(NUMBERS)
@settings(max_examples=30, deadline=None)
def test_correlations_are_those_of_scipy(pairs: list[tuple[int, int]]) -> None:
    left, right = np.asarray(pairs, dtype=np.float64).T

    assert pearson(left, right) == pytest.approx(stats.pearsonr(left, right).statistic)
    assert spearman(left, right) == pytest.approx(stats.spearmanr(left, right).statistic)


def test_a_constant_side_tells_nothing_apart() -> None:
    assert spearman(np.ones(3), np.arange(3.0)) == 0.0
    assert pearson(np.ones(1), np.ones(1)) == 0.0
    assert mean([]) == 0.0
