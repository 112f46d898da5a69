"""The two loads that a measuring process puts on its streams.

*Closed loop*: each stream takes the next batch as soon as it is free. The rate is the sum of the
streams' own rates up to each one's own last batch, so that no idle end of a short run counts.

*Poisson*: requests arrive when they do, in one queue; a free stream takes the oldest. A request's
latency runs from its arrival, whether or not anything was ready for it, so a stall is charged to
every request that waited (no "coordinated omission"). The gaps of one seed are the same at every
rate, only scaled: a higher rate is then never the easier one, and a bisection is consistent.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcompress.inference.streams import Feed, Runs

LEAST_RUNS = 2
_GOLDEN = 0.6180339887498949
_HEAD_START_S = 0.005


@dataclass(frozen=True)
class Rate:
    """A closed loop's rates, and the seconds and calls behind them."""

    sentences_per_s: float
    tokens_per_s: float
    seconds: float
    calls: int


@dataclass(frozen=True)
class PoissonRun:
    """Requests that arrived at random.

    Attributes:
        latencies_s: Seconds from arrival to answer, in the order of arrival; of those answered.
        whole: Whether all were answered; a run is stopped when too many were late.
    """

    latencies_s: tuple[float, ...]
    whole: bool


def steady_rate(runtimes: Sequence[Runs], feeds: Sequence[Feed], *, slice_s: float) -> Rate:
    """Runs batches for a slice of time on all streams and returns the rate.

    Batches are taken in an order whose every beginning holds short and long ones in their right
    shares. The rate is counted in tokens and given in sentences of the feeds' mean length, so
    that which batches fell into the slice matters little.

    Args:
        runtimes: Opened; one a stream.
        feeds: Batches, taken again and again.
        slice_s: How long; each stream runs at least `LEAST_RUNS` batches all the same.
    """
    tokens = [int(feed["attention_mask"].sum()) for feed in feeds]
    sentences = sum(int(feed["input_ids"].shape[0]) for feed in feeds)
    order = spread(tokens)
    counter = itertools.count()

    def warm(runtime: Runs) -> None:
        for index in {order[0], max(range(len(feeds)), key=tokens.__getitem__)}:
            _run(runtime, feeds[index])

    def drain(runtime: Runs) -> tuple[int, float, int]:
        done = calls = 0
        started = time.perf_counter()
        while True:
            index = order[next(counter) % len(order)]
            _run(runtime, feeds[index])
            elapsed = time.perf_counter() - started
            done, calls = done + tokens[index], calls + 1
            if elapsed >= slice_s and calls >= LEAST_RUNS:
                return done, elapsed, calls

    with ThreadPoolExecutor(len(runtimes)) as pool:
        list(pool.map(warm, runtimes))
        parts = list(pool.map(drain, runtimes))
    rate = sum(done / elapsed for done, elapsed, _ in parts)
    longest = max(elapsed for _, elapsed, _ in parts)
    return Rate(
        rate * sentences / max(1, sum(tokens)), rate, longest, sum(calls for *_, calls in parts)
    )


def spread(weights: Sequence[float]) -> list[int]:
    """Returns positions in an order whose every beginning holds small and large in their shares.

    The positions, sorted by weight, are visited as multiples of the golden ratio fall.

    >>> spread([10, 20, 30, 40, 50])
    [0, 3, 1, 4, 2]
    """
    falls = np.argsort(np.argsort([k * _GOLDEN % 1.0 for k in range(len(weights))]))
    by_weight = np.argsort(np.asarray(weights), kind="stable")
    return [int(by_weight[rank]) for rank in falls]


def arrivals(requests: int, rate: float, *, seed: int) -> NDArray[np.float64]:
    """Returns the seconds at which requests arrive: a Poisson process of `rate` a second."""
    gaps = np.random.default_rng(seed).exponential(size=requests)
    return np.cumsum(gaps) / rate


def poisson_run(
    runtimes: Sequence[Runs],
    feeds: Sequence[Feed],
    *,
    times: Sequence[float],
    bound_s: float,
    allowed: int,
) -> PoissonRun:
    """Answers requests that arrive at the given times.

    Args:
        runtimes: Opened; one a stream.
        feeds: What the requests ask, in turn.
        times: Seconds from the start at which each arrives, ascending.
        bound_s: A request that takes longer is late.
        allowed: So many may be late; with one more the run is stopped.
    """
    counter, stop, lock = itertools.count(), threading.Event(), threading.Lock()
    latencies: list[float | None] = [None] * len(times)
    late = 0
    started = time.perf_counter() + _HEAD_START_S

    def drain(runtime: Runs) -> None:
        nonlocal late
        while (index := next(counter)) < len(times) and not stop.is_set():
            due = started + times[index]
            time.sleep(max(0.0, due - time.perf_counter()))
            _run(runtime, feeds[index % len(feeds)])
            latency = time.perf_counter() - due
            latencies[index] = latency
            if latency > bound_s:
                with lock:
                    late += 1
                    if late > allowed:
                        stop.set()

    with ThreadPoolExecutor(len(runtimes)) as pool:
        list(pool.map(drain, runtimes))
    answered = tuple(latency for latency in latencies if latency is not None)
    return PoissonRun(answered, whole=len(answered) == len(times))


def _run(runtime: Runs, feed: Feed) -> None:
    runtime.run({name: feed[name] for name in runtime.input_names})
