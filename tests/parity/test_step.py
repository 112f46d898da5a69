"""A step is outside its bounds where a figure is worse than the bound, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bertcompress.parity.bounds import Bounds
from bertcompress.parity.step import ParityLadder, ParityStep, broken_bounds

AT_THE_BOUNDS = ParityStep(
    artifact="int8",
    runtime="ort-cpu",
    precision="int8",
    bounds=Bounds(max_difference=0.01, min_sqnr=20.0, min_agreement=0.95, max_drop=0.02),
    max_difference=0.05,
    largest_output=5.0,
    sqnr_db=20.0,
    agreement=0.95,
    drop=0.02,
)


def test_what_just_meets_its_bounds_is_within() -> None:
    assert broken_bounds(AT_THE_BOUNDS) == ()


@pytest.mark.parametrize(
    ("figure", "value", "words"),
    [
        ("max_difference", 0.0501, "largest difference 5.0e-02, allowed 5.0e-02"),
        ("sqnr_db", 19.9, "SQNR 19.9 dB, at least 20 dB"),
        ("agreement", 0.949, "agreement 94.90%, at least 95.00%"),
        ("drop", 0.0201, "metric lost 0.0201, at most 0.02"),
    ],
)
def test_each_figure_is_held_to_its_own_bound(figure: str, value: float, words: str) -> None:
    assert broken_bounds(replace(AT_THE_BOUNDS, **{figure: value})) == (words,)  # type: ignore[arg-type]  # fields by name


def test_small_outputs_are_held_to_the_plain_difference() -> None:
    step = replace(AT_THE_BOUNDS, largest_output=0.3, max_difference=0.0101)

    assert broken_bounds(step) == ("largest difference 1.0e-02, allowed 1.0e-02",)
    assert broken_bounds(replace(step, max_difference=0.01)) == ()


def test_no_bound_and_no_figure_break_nothing() -> None:
    unbounded = Bounds(None, None, None, None)
    assert broken_bounds(replace(AT_THE_BOUNDS, bounds=unbounded, max_difference=9.0)) == ()
    exact = replace(AT_THE_BOUNDS, sqnr_db=None, agreement=None, drop=None, max_difference=None)
    assert broken_bounds(exact) == ()


def test_the_steps_that_failed_are_those_with_a_broken_bound() -> None:
    outside = replace(AT_THE_BOUNDS, broken=("SQNR",))
    absent = replace(AT_THE_BOUNDS, left_out="not installed")

    ladder = ParityLadder(
        "a", "torch-cpu", "texts", 3, "f1", None, (AT_THE_BOUNDS, outside, absent)
    )

    assert ladder.failed == (outside,)
