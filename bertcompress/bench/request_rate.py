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
from pathlib import Path

from bertcompress.bench.settings import SERVER_QUANTILE, BenchSettings
from bertcompress.bench.tuning import Tuning
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.client import TIMEOUT_S, WorkerProcess
from bertcompress.bench.worker.messages import (
    AnswerArrivals,
    ArrangeStreams,
    MeasureRate,
    SweepWorkload,
)
from bertcompress.bench.workload import sample_features, save_workload, single_stream
from bertcompress.stats.intervals import percentile

BOUND_FACTOR = 4.0
TOLERANCE = 0.03
MOST_TRIALS = 24
FIRST_SHARE = 0.7
"""The share of what back-to-back requests reach that is tried first."""
LOWEST_SHARE = 1 / 16
"""And the one below which no rate is tried: there a request is nearly always alone."""
_LONGEST_TRIAL_S = TIMEOUT_S * 0.8
_SLICE_S = 0.3


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


def serve_variant(
    variant: Variant,
    subject: Subject,
    settings: BenchSettings,
    tuning: Tuning | None,
    *,
    bound_s: float,
    threads: int,
    scratch: Path,
) -> ServerResult:
    """Finds the highest rate that a variant bears, in a process of its own.

    Args:
        variant: What answers.
        subject: Where the requests come from.
        settings: How many requests, and the seed.
        tuning: The variant's best settings; without them one runtime has all threads.
        bound_s: What the p99 has to stay under.
        threads: The CPUs that may be used.
        scratch: A folder for the inputs.

    Raises:
        RunError: If the variant can't be loaded or run.
    """
    streams, each = (tuning.settings.streams, tuning.settings.threads) if tuning else (1, threads)
    drawn = sample_features(subject.features, settings.server_requests, seed=settings.seed)
    path = scratch / "server.npz"
    save_workload(single_stream(drawn, pad_token_id=subject.pad_token_id, name="server"), path)
    trials: list[Trial] = []
    best: list[tuple[float, ...]] = []
    with WorkerProcess(variant.name, scratch=scratch, threads=threads) as process:
        process.load(variant.folder, variant.runtime)
        process.ask(ArrangeStreams(streams, each))
        process.ask(SweepWorkload(path))  # meets every shape
        closed = process.ask(MeasureRate(path, _SLICE_S)).sentences_per_s

        def attempt(rate: float) -> bool:
            latencies, whole = _arrive(process, path, rate, bound_s, settings)
            p99 = percentile(latencies, SERVER_QUANTILE).value if whole else None
            kept = p99 is not None and p99 <= bound_s
            trials.append(Trial(rate, kept, p99))
            if kept:
                best[:] = [latencies]
            return kept

        lowest = max(closed * LOWEST_SHARE, settings.server_requests / _LONGEST_TRIAL_S)
        rate = highest_rate(attempt, first=closed * FIRST_SHARE, lowest=lowest)
    latencies = best[0] if best else ()
    return ServerResult(
        bound_s=bound_s,
        streams=streams,
        threads=each,
        requests=settings.server_requests,
        rate=rate,
        p50_s=percentile(latencies, 0.5).value if latencies else None,
        p99_s=percentile(latencies, SERVER_QUANTILE).value if latencies else None,
        latencies_s=latencies,
        trials=tuple(trials),
    )


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


def _arrive(
    process: WorkerProcess, path: Path, rate: float, bound_s: float, settings: BenchSettings
) -> tuple[tuple[float, ...], bool]:
    command = AnswerArrivals(
        path,
        rate=rate,
        requests=settings.server_requests,
        seed=settings.seed,
        bound_s=bound_s,
        allowed=allowed_late(settings.server_requests),
    )
    answered = process.ask(command)
    return tuple(round(second, 8) for second in answered.latencies_s), answered.whole
