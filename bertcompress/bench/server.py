"""The server scenario: the highest rate of requests that a variant answers in time.

Single sentences arrive at random (a Poisson process), wait in one queue, and a free stream of the
variant's best layout takes the oldest; nothing is batched. The scenario asks for the highest rate
at which the p99 of the time from arrival to answer stays under a bound. By default the bound is
four times the baseline's median for one sentence alone: room for a short queue, far from a
backlog, and the same for every variant, so that a faster one shows as a higher rate.

The rate is bisected until the highest that kept the bound and the lowest that broke it differ by
`TOLERANCE`. Every trial draws the same arrivals, scaled (see `bertcompress.bench.worker.load`).
A trial ends early when more requests were late than the p99 of all could bear.
Source: MLCommons inference rules, "Server" scenario.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bertcompress.bench.settings import SERVER_QUANTILE

BOUND_FACTOR = 4.0
TOLERANCE = 0.03
MOST_TRIALS = 24


@dataclass(frozen=True)
class Trial:
    """One rate that was tried.

    Attributes:
        rate: Requests a second.
        kept: Whether the p99 stayed under the bound.
        p99_s: The p99, None where the trial was stopped early.
    """

    rate: float
    kept: bool
    p99_s: float | None


@dataclass(frozen=True)
class ServerResult:
    """What a variant bears.

    Attributes:
        bound_s: What the p99 had to stay under.
        streams: Runtimes that answered.
        threads: Threads of each.
        requests: Requests of each trial.
        rate: The highest rate that was kept, requests a second; None if none was.
        p50_s: The median at that rate.
        p99_s: The p99 at that rate.
        latencies_s: Every request at that rate, in the order of arrival.
        trials: All rates, in the order they were tried.
    """

    bound_s: float
    streams: int
    threads: int
    requests: int
    rate: float | None
    p50_s: float | None
    p99_s: float | None
    latencies_s: tuple[float, ...]
    trials: tuple[Trial, ...]


def highest_rate(
    attempt: Callable[[float], bool], *, first: float, lowest: float, tolerance: float = TOLERANCE
) -> float | None:
    """Bisects for the highest rate that `attempt` accepts.

    Args:
        attempt: Tries a rate; accepting one means accepting every lower one.
        first: The rate to begin with.
        lowest: Rates below are not tried.
        tolerance: How far the answer may lie below the true one, relatively.

    Returns:
        An accepted rate, or None if even the lowest is refused.
    """
    low, high, rate = 0.0, float("inf"), max(first, lowest)
    for _ in range(MOST_TRIALS):
        if attempt(rate):
            low = rate
        else:
            high = rate
        if high <= lowest or high - low <= tolerance * low:
            break
        if low == 0.0:
            rate = max(lowest, high / 2)
        elif high == float("inf"):
            rate = low * 1.3
        else:
            rate = (low * high) ** 0.5
    return low or None


def allowed_late(requests: int) -> int:
    """Returns how many late requests the p99 can bear: with one more it is above the bound.

    >>> allowed_late(662), allowed_late(1000)
    (7, 10)
    """
    return requests - 1 - math.floor((requests - 1) * SERVER_QUANTILE)
