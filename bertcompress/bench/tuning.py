"""Which settings run an artifact best here: threads, streams, batch, order.

On a CPU the settings of a runtime are worth as much as a precision, and the best ones differ from
artifact to artifact; a comparison at one setting compares settings. So each artifact is tried at
all of them: successive halving, in which all candidates are measured for a short slice of time,
the better quarter again for twice as long, until few are left, which take turns at last.

    candidates = streams x threads (within the CPUs) x batch x (sorted by length | as they come)

Opening a runtime costs more than a slice, so candidates of one *layout* (streams x threads) are
measured while it is open, layouts in turned order from one rung to the next. Rates that lie
within `LEVEL` of the best count as level, and the simplest of those is taken: fewer streams hold
the weights in memory fewer times.
Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification", AISTATS 2016.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from bertcompress.bench.worker.load import Rate
from bertcompress.inference.best_settings import RuntimeSettings

KEPT_SHARE = 0.25
LAST_CANDIDATES = 3
THREAD_TURNS = 8
"""A turn is some 40 ms: two of them, and a neighbour on the machine decides."""
NEAR = 1.5
"""Numbers of threads that take longer, against the fastest, are not asked again."""

LEVEL = 0.02
UNSTEADY = 0.15
"""Settings whose own turns differ by more were found on a machine that others were using."""
ALL_COUNTS_UP_TO = 4

Measure = Callable[["Layout", Sequence["RuntimeCandidate"], float], Sequence[Rate]]


@dataclass(frozen=True, order=True)
class Layout:
    """Runtimes opened side by side, and the threads of each."""

    streams: int
    threads: int


@dataclass(frozen=True, order=True)
class RuntimeCandidate:
    """Settings for many texts at once."""

    layout: Layout
    batch_size: int
    sort_by_length: bool


@dataclass(frozen=True)
class CandidateRate:
    """What a candidate reached in its longest slice.

    Attributes:
        streams: Runtimes side by side.
        threads: Threads of each.
        batch_size: Texts in a batch.
        sort_by_length: Whether texts of similar length shared a batch.
        sentences_per_s: Its rate.
        tokens_per_s: The same in tokens, padding not counted.
        seconds: How long that slice was.
        rungs: How often it was let through to a longer slice, plus one.
        turns: Tokens a second in each turn of the last rung it was in.
    """

    streams: int
    threads: int
    batch_size: int
    sort_by_length: bool
    sentences_per_s: float
    tokens_per_s: float
    seconds: float
    rungs: int
    turns: tuple[float, ...] = ()


@dataclass(frozen=True)
class ThreadLatency:
    """The median seconds of one text at a time, with so many threads."""

    threads: int
    median_s: float
    count: int


@dataclass(frozen=True)
class Tuning:
    """What was found best for one artifact, and all that was tried.

    Attributes:
        settings: The best.
        latencies: Every number of threads, one text at a time.
        candidates: Every candidate for many texts, the best first.
        saved: Whether the settings stand in the artifact's manifest now: not if they were found
            on an unsteady machine, or the folder can't be written.
        seconds: How long it took.
    """

    settings: RuntimeSettings
    latencies: tuple[ThreadLatency, ...]
    candidates: tuple[CandidateRate, ...]
    saved: bool
    seconds: float

    @property
    def unsteady(self) -> float | None:
        """How far the turns of the best were apart, if too far to rely on; None if not."""
        turns = self.candidates[0].turns if self.candidates else ()
        apart = max(turns) / min(turns) - 1 if turns else 0.0
        return apart if apart > UNSTEADY else None


def thread_counts(available: int) -> list[int]:
    """Returns the numbers of threads worth trying: all while few, then steps of about a third.

    >>> thread_counts(2), thread_counts(16)
    ([1, 2], [1, 2, 3, 4, 6, 8, 12, 16])
    """
    counts = list(range(1, min(available, ALL_COUNTS_UP_TO) + 1))
    while counts[-1] < available:
        last = counts[-1]
        step = last * 3 // 2 if math.log2(last).is_integer() else last * 4 // 3
        counts.append(min(available, step))
    return counts


def layouts(available: int, *, most_streams: int) -> list[Layout]:
    """Returns the layouts to try: all while CPUs are few, then those that use them all.

    Args:
        available: The CPUs that may be used; no layout has more threads.
        most_streams: How many copies of the weights fit into memory.

    >>> [(layout.streams, layout.threads) for layout in layouts(2, most_streams=8)]
    [(1, 1), (1, 2), (2, 1)]
    """
    possible = set()
    for threads in thread_counts(available):
        fill = available // threads
        counts = range(1, fill + 1) if available <= ALL_COUNTS_UP_TO else (fill,)
        possible |= {Layout(min(streams, most_streams), threads) for streams in counts}
    return sorted(possible)


def candidates(
    tried: Sequence[Layout], *, batch_sizes: Sequence[int], features: int
) -> list[RuntimeCandidate]:
    """Returns all candidates; a batch of one has no order, and none is larger than the data."""
    sizes = sorted({min(size, features) for size in batch_sizes})
    return [
        RuntimeCandidate(layout, size, by_length)
        for layout in tried
        for size in sizes
        for by_length in ((True, False) if size > 1 else (True,))
    ]


def search(
    tried: Sequence[RuntimeCandidate], measure: Measure, *, slice_s: float
) -> tuple[CandidateRate, ...]:
    """Returns every candidate with its rate, the best first.

    Args:
        tried: At least one.
        measure: Opens a layout and returns the rates of its candidates, each measured for the
            given seconds, in their order.
        slice_s: Seconds of each candidate in the first rung; doubled from rung to rung.
    """
    rated: dict[RuntimeCandidate, CandidateRate] = {}
    kept, seconds, rung = list(tried), slice_s, 1
    while True:
        turns = 2 if len(kept) <= LAST_CANDIDATES else 1
        rates: dict[RuntimeCandidate, list[Rate]] = {}
        for turn in range(turns):
            for layout, group in _by_layout(kept, backwards=(rung + turn) % 2 == 0):
                for candidate, rate in zip(group, measure(layout, group, seconds), strict=True):
                    rates.setdefault(candidate, []).append(rate)
        rated |= {candidate: _rated(candidate, rates[candidate], rung) for candidate in kept}
        kept.sort(key=lambda candidate: -rated[candidate].tokens_per_s)
        if len(kept) <= LAST_CANDIDATES:
            break
        kept = kept[: max(2, math.ceil(len(kept) * KEPT_SHARE))]
        seconds, rung = seconds * 2, rung + 1
    best = _simplest_of_the_best(kept, rated)
    others = sorted(
        (candidate for candidate in tried if candidate != best),
        key=lambda candidate: (-rated[candidate].rungs, -rated[candidate].tokens_per_s),
    )
    return tuple(rated[candidate] for candidate in (best, *others))


def search_threads(
    counts: Sequence[int], measure: Callable[[int], Sequence[float]]
) -> tuple[ThreadLatency, ...]:
    """Returns every number of threads with its latency, the best first.

    Args:
        counts: Numbers of threads, ascending.
        measure: Opens one runtime with so many threads and returns seconds of single texts; is
            asked `THREAD_TURNS` times for each that is still near the best after two turns,
            forwards and backwards.
    """
    samples: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(THREAD_TURNS // 2):
        fastest = min(
            (median(seconds) for seconds in samples.values() if seconds), default=math.inf
        )
        near = [
            count
            for count, seconds in samples.items()
            if not seconds or median(seconds) <= NEAR * fastest
        ]
        for count in [*near, *reversed(near)]:
            samples[count] += measure(count)
    latencies = [
        ThreadLatency(count, median(seconds), len(seconds)) for count, seconds in samples.items()
    ]
    least = min(latency.median_s for latency in latencies)
    best = next(latency for latency in latencies if latency.median_s <= least * (1 + LEVEL))
    return (
        best,
        *sorted(
            (latency for latency in latencies if latency != best),
            key=lambda latency: latency.median_s,
        ),
    )


def _by_layout(
    kept: Sequence[RuntimeCandidate], *, backwards: bool
) -> Iterator[tuple[Layout, list[RuntimeCandidate]]]:
    order = sorted(kept, reverse=backwards)
    for layout in dict.fromkeys(candidate.layout for candidate in order):
        yield layout, [candidate for candidate in order if candidate.layout == layout]


def _rated(candidate: RuntimeCandidate, rates: Sequence[Rate], rung: int) -> CandidateRate:
    seconds = sum(rate.seconds for rate in rates)
    return CandidateRate(
        streams=candidate.layout.streams,
        threads=candidate.layout.threads,
        batch_size=candidate.batch_size,
        sort_by_length=candidate.sort_by_length,
        sentences_per_s=sum(r.sentences_per_s * r.seconds for r in rates) / seconds,
        tokens_per_s=sum(r.tokens_per_s * r.seconds for r in rates) / seconds,
        seconds=seconds,
        rungs=rung,
        turns=tuple(rate.tokens_per_s for rate in rates),
    )


def _simplest_of_the_best(
    kept: Sequence[RuntimeCandidate], rated: dict[RuntimeCandidate, CandidateRate]
) -> RuntimeCandidate:
    most = max(rated[candidate].tokens_per_s for candidate in kept)
    level = [candidate for candidate in kept if rated[candidate].tokens_per_s >= most * (1 - LEVEL)]
    return min(
        level,
        key=lambda candidate: (
            candidate.layout,
            candidate.batch_size,
            not candidate.sort_by_length,
        ),
    )
