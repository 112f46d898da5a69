"""What a fraction removes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bertcompress.bert.pruning.selection import check_fraction, keep_units
from bertcompress.errors import UsageError

fractions = st.floats(0, 0.99)
# few distinct values, so that ties are common
layers = st.lists(
    st.lists(st.integers(0, 5).map(lambda n: n / 7), max_size=20).map(np.array),
    min_size=1,
    max_size=5,
).map(tuple)

Scores = tuple[NDArray[np.float64], ...]


def removed(scores: Scores, kept: tuple[tuple[int, ...], ...]) -> int:
    return sum(values.size for values in scores) - sum(map(len, kept))


def test_the_least_important_go_first_over_all_layers() -> None:
    scores = (np.array([0.9, 0.1, 0.8, 0.7]), np.array([0.2, 0.6, 0.05, 0.5]))

    assert keep_units(scores, 3 / 8) == ((0, 2, 3), (1, 3))


def test_layer_scope_takes_the_same_part_of_each() -> None:
    scores = (np.array([9.0, 8.0, 7.0, 6.0]), np.array([0.4, 0.1, 0.3, 0.2]))

    assert keep_units(scores, 0.5, scope="layer") == ((0, 1), (0, 2))
    assert keep_units(scores, 0.5, scope="global", minimum=0) == ((0, 1, 2, 3), ())


@pytest.mark.parametrize(
    ("fraction", "left"), [(0.0, 10), (0.04, 10), (0.05, 9), (0.14, 9), (0.16, 8), (0.89, 1)]
)
def test_the_count_is_rounded_to_the_nearest(fraction: float, left: int) -> None:
    (kept,) = keep_units((np.arange(10.0),), fraction)

    assert kept == tuple(range(10 - left, 10))


@given(layers, fractions)
def test_without_limits_the_count_is_the_nearest(scores: Scores, fraction: float) -> None:
    kept = keep_units(scores, fraction, minimum=0)

    target = fraction * sum(values.size for values in scores)
    assert abs(removed(scores, kept) - target) <= 0.5


@given(
    layers, fractions, st.integers(1, 8), st.integers(0, 6), st.sampled_from(["global", "layer"])
)
def test_what_stays_is_the_best_of_each_layer(
    scores: Scores, fraction: float, multiple: int, minimum: int, scope: str
) -> None:
    kept = keep_units(
        scores,
        fraction,
        scope="layer" if scope == "layer" else "global",
        multiple=multiple,
        minimum=minimum,
    )

    assert len(kept) == len(scores)
    for values, stay in zip(scores, kept, strict=True):
        gone = set(range(values.size)) - set(stay)
        assert list(stay) == sorted(set(stay))
        assert set(stay) <= set(range(values.size))
        assert len(stay) >= min(minimum, values.size)
        if gone and stay:
            assert values[list(stay)].min() >= values[list(gone)].max()
        if gone:  # only whole blocks go, the odd one before all others
            assert len(stay) % multiple == 0


@given(layers, fractions, st.integers(1, 8))
def test_blocks_round_to_the_nearest_block(scores: Scores, fraction: float, multiple: int) -> None:
    kept = keep_units(scores, fraction, multiple=multiple, minimum=0)

    target = fraction * sum(values.size for values in scores)
    assert abs(removed(scores, kept) - target) <= multiple / 2


@given(layers, fractions, fractions)
def test_a_larger_fraction_keeps_a_subset(scores: Scores, one: float, other: float) -> None:
    few, many = (keep_units(scores, fraction) for fraction in (max(one, other), min(one, other)))

    assert all(set(a) <= set(b) for a, b in zip(few, many, strict=True))


def test_equal_scores_leave_whole_blocks() -> None:
    (kept,) = keep_units((np.full(80, 0.1),), 0.4, multiple=32)

    assert len(kept) in (32, 64)


def test_rounding_does_not_lift_a_block_over_the_one_before() -> None:
    scores = np.full(9, 0.1)
    assert scores[:6].mean() < scores[6:].mean()  # by one bit

    (kept,) = keep_units((scores,), 0.3, multiple=6, minimum=0)

    assert len(kept) == 6


def test_each_layer_keeps_one_unless_told() -> None:
    scores = (np.array([1.0, 2.0]), np.array([8.0, 9.0]))

    assert keep_units(scores, 0.5) == ((1,), (1,))
    assert keep_units(scores, 0.5, minimum=0) == ((), (0, 1))
    assert keep_units(scores, 0.99) == ((1,), (1,))


def test_an_empty_layer_stays_empty() -> None:
    scores = (np.zeros(0), np.array([1.0, 2.0]))

    assert keep_units(scores, 0.5) == ((), (1,))
    assert keep_units(scores, 0.5, scope="layer") == ((), (1,))


@pytest.mark.parametrize(
    ("fraction", "sentence"),
    [
        (30, r"--heads must be in \[0, 1\), got 30; did you mean 0.30\?$"),
        (2.5, r"got 2.5; did you mean 0.025\?$"),
        (99.9, r"got 99.9; did you mean 0.999\?$"),
        (1.0, r"got 1; 1.0 would remove all of them$"),
        (-0.1, r"got -0.1$"),
        (100, r"got 100$"),
        (float("nan"), r"got nan$"),
    ],
)
def test_what_is_no_fraction_is_refused(fraction: float, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        check_fraction("--heads", fraction)


@pytest.mark.parametrize("fraction", [0, 0.3, 0.999])
def test_a_fraction_passes(fraction: float) -> None:
    check_fraction("--heads", fraction)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"fraction": 30}, "fraction must be in"),
        ({"multiple": 0}, "multiple must be 1 or more, got 0"),
        ({"minimum": -1}, "minimum must be 0 or more, got -1"),
        ({"scope": "all"}, "scope must be global or layer, got 'all'"),
    ],
)
def test_settings_that_can_not_be_meant_are_refused(
    settings: dict[str, object], sentence: str
) -> None:
    arguments = {"fraction": 0.5, **settings}

    with pytest.raises(UsageError, match=sentence):
        keep_units((np.arange(4.0),), **arguments)  # type: ignore[arg-type]  # wrong on purpose
