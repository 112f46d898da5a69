"""The statistics of a comparison: its bounds hold, and its decisions are right often enough."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.errors import UsageError
from bertcompress.stats.slowdown import IS_HEAD, Slowdown, process_values, slowdown_of

LOOKS = (3, 5, 8, 12, 20)


def made_rounds(
    count: int, *, slowdown: float, noise: float, seed: int, requests: int = 1
) -> list[list[list[float]]]:
    """Returns rounds whose processes differ by `noise`; requests differ in length a lot."""
    draw = np.random.default_rng(seed)
    lengths = draw.lognormal(0.0, 0.5, (count, 1, requests))
    mood = draw.lognormal(0.0, 0.2, (count, 1, 1))
    own = draw.normal(0.0, noise, (count, 4, 1))
    effect = math.log1p(slowdown) * np.asarray(IS_HEAD)[None, :, None]
    seconds = 3e-3 * lengths * mood * np.exp(own + effect)
    return [[list(process) for process in one] for one in seconds]


def outcome(slowdown: float, noise: float, seed: int) -> str:
    rounds = made_rounds(LOOKS[-1], slowdown=slowdown, noise=noise, seed=seed)
    for look in LOOKS:
        found = slowdown_of(rounds[:look], looks=len(LOOKS)).decide(0.03)
        if found != "undecided":
            return found
    return "abstained"


def share(what: str, slowdown: float, noise: float, count: int = 400) -> float:
    return sum(outcome(slowdown, noise, seed) == what for seed in range(count)) / count


@pytest.mark.parametrize("noise", [0.004, 0.015, 0.03])
def test_a_build_compared_with_itself_hardly_ever_fails(noise: float) -> None:
    assert share("failed", 0.0, noise) <= 0.0125


@pytest.mark.parametrize("noise", [0.004, 0.015, 0.025])
def test_slowdowns_of_three_and_five_percent_are_caught(noise: float) -> None:
    assert share("failed", 0.03, noise) >= 0.9
    assert share("failed", 0.05, noise) >= 0.99


@pytest.mark.slow
def test_a_slowdown_that_is_allowed_hardly_ever_gets_through_on_a_noisy_machine() -> None:
    assert share("passed", 0.03, 0.06) <= 0.0125
    assert share("abstained", 0.0, 0.06) > 0.3


def test_the_bounds_are_those_of_scipys_linear_model() -> None:
    from scipy import stats

    rounds = made_rounds(6, slowdown=0.02, noise=0.02, seed=3)
    values = np.stack([process_values(one) for one in rounds]).ravel()
    blocks = np.repeat(np.eye(6), 4, axis=0)
    design = np.column_stack([blocks, np.tile(np.asarray(IS_HEAD, float), 6)])
    solved, left, *_ = np.linalg.lstsq(design, values, rcond=None)
    variance = float(left[0]) / (24 - 7) * np.linalg.inv(design.T @ design)[-1, -1]
    width = stats.t.ppf(0.99, 24 - 7) * math.sqrt(variance)

    found = slowdown_of(rounds, confidence=0.99)

    assert found.estimate == pytest.approx(math.expm1(solved[-1]))
    assert found.low == pytest.approx(math.expm1(solved[-1] - width))
    assert found.high == pytest.approx(math.expm1(solved[-1] + width))
    assert found.resolution == pytest.approx(math.expm1(2 * width))


def test_more_looks_make_wider_bounds() -> None:
    rounds = made_rounds(5, slowdown=0.0, noise=0.01, seed=0)

    one, five = slowdown_of(rounds), slowdown_of(rounds, looks=5)

    assert five.low < one.low < one.high < five.high


def test_lengths_and_the_machines_mood_cancel() -> None:
    rounds = made_rounds(3, slowdown=0.05, noise=0.0, seed=1, requests=7)

    found = slowdown_of(rounds)

    assert found.estimate == pytest.approx(0.05)
    assert found.resolution == pytest.approx(0.0, abs=1e-9)


def test_a_request_that_was_interrupted_changes_nothing() -> None:
    rounds = made_rounds(3, slowdown=0.05, noise=0.0, seed=1, requests=9)
    rounds[1][2][4] *= 50

    assert slowdown_of(rounds).estimate == pytest.approx(0.05, abs=1e-9)


def with_bounds(low: float, high: float, resolution: float) -> Slowdown:
    return Slowdown((low + high) / 2, low, high, resolution, 0.01, 5, 0.99)


@pytest.mark.parametrize(
    ("slowdown", "decision"),
    [
        (with_bounds(-0.010, 0.010, 0.020), "passed"),
        (with_bounds(0.005, 0.025, 0.020), "passed"),  # slower for certain, and allowed to be
        (with_bounds(0.015, 0.035, 0.020), "failed"),
        (with_bounds(-0.001, 0.039, 0.040), "undecided"),
        (with_bounds(0.001, 0.041, 0.040), "failed"),
        (with_bounds(0.100, 0.300, 0.200), "failed"),  # a noisy machine still shows a large one
        (with_bounds(-0.300, -0.100, 0.200), "passed"),
    ],
)
def test_the_decision_follows_the_upper_bound(slowdown: Slowdown, decision: str) -> None:
    assert slowdown.decide(0.03) == decision


@given(
    estimate=st.floats(-0.5, 0.5),
    width=st.floats(1e-4, 0.3),
    allowed=st.floats(0.005, 0.3),
)
def test_a_failure_is_slower_for_certain_and_doubt_needs_a_poor_resolution(
    estimate: float, width: float, allowed: float
) -> None:
    made = Slowdown(
        *(math.expm1(estimate + step * width) for step in (0, -1, 1)),
        math.expm1(2 * width),
        width,
        3,
        0.99,
    )

    decision = made.decide(allowed)

    assert decision != "failed" or (made.low > 0 and made.high > allowed)
    assert decision != "passed" or made.high <= allowed
    assert decision != "undecided" or made.resolution > allowed * 0.999


def test_what_can_not_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one round"):
        slowdown_of([])
    with pytest.raises(UsageError, match="4 processes with equally many requests"):
        slowdown_of([[[1.0], [1.0], [1.0]]])
    with pytest.raises(UsageError, match=r"got \[2, 1, 2, 2\]"):
        slowdown_of([[[1.0, 1.0], [1.0], [1.0, 1.0], [1.0, 1.0]]])
    with pytest.raises(UsageError, match=r"did you mean 0.03\?"):
        with_bounds(0, 0, 0).decide(3.0)
