"""The machine's limits, measured in the run that they are compared with.

A datasheet knows neither the clock of today nor the neighbours on the host, so the roof is
measured: matrix products in float and in integers, and memory read and copied, each by one thread
and by all threads of the run, in a process of its own (`bertcompress.bench.worker.roof_kernels`).

A neighbour can only slow a sample down. The rate is therefore the median of the fastest tenth of
the samples: above what a disturbed run shows, and not the luck of a single one. A run measures
before and after its timings and keeps the better of each limit, with all its samples.

With the operations of a call (`bertcompress.profiling.operations`) the limits give the least time
that it could take::

    attainable = max(float operations / FP32 rate + integer operations / INT8 rate,
                     bytes / read rate)

Source: Williams, Waterman and Patterson, "Roofline", CACM 52 (2009); the two rates are added,
because one core does one kind at a time. Bytes that stay in a cache from call to call come faster
than memory can send them, so a short text on a small model may be above its memory limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bertcompress.profiling.operations import Work

RoofKind = Literal["fp32", "int8", "read", "copy"]
Bound = Literal["compute", "memory"]
_LEAST_KEPT = 3


@dataclass(frozen=True)
class Roof:
    """One limit.

    Attributes:
        kind: ``fp32`` and ``int8`` are operations a second, ``read`` and ``copy`` bytes a second
            (a copy counts what it reads and what it writes).
        threads: How many threads worked.
        rate: The median of the fastest tenth of the samples.
        samples: The rate of each run.
        how: What was run.
    """

    kind: RoofKind
    threads: int
    rate: float
    samples: tuple[float, ...]
    how: str


@dataclass(frozen=True)
class Roofs:
    """All limits of one machine.

    Attributes:
        threads: All threads of the run.
        measured: Each kind, by one thread and by all.
        unavailable: A sentence for what could not be measured.
    """

    threads: int
    measured: tuple[Roof, ...] = ()
    unavailable: tuple[str, ...] = ()

    def roof(self, kind: RoofKind, *, threads: int | None = None) -> Roof | None:
        """Returns a limit; of all threads unless their number is given."""
        wanted = self.threads if threads is None else threads
        fitting = (roof for roof in self.measured if (roof.kind, roof.threads) == (kind, wanted))
        return next(fitting, None)


@dataclass(frozen=True)
class Attainable:
    """The least time a call could take, and what limits it."""

    seconds: float
    bound: Bound


def better_of(first: Roofs | None, second: Roofs | None) -> Roofs | None:
    """Returns the higher of each limit: what ran beside one measurement may spare the other."""
    if first is None or second is None:
        return first or second
    best: dict[tuple[RoofKind, int], Roof] = {}
    for roof in (*first.measured, *second.measured):
        place = roof.kind, roof.threads
        if place not in best or roof.rate > best[place].rate:
            best[place] = roof
    reasons = () if best else (*first.unavailable, *second.unavailable)
    missing = first.unavailable if first.unavailable == second.unavailable else reasons
    return Roofs(first.threads, tuple(best.values()), tuple(dict.fromkeys(missing)))


def sustained(samples: Sequence[float]) -> float:
    """Returns the median of the fastest tenth, of three samples at least.

    >>> sustained([100, 99, 98, 97, 50, 40, 30, 20, 10, 5, 4, 3])
    99.0
    """
    fastest = sorted(samples, reverse=True)[: max(_LEAST_KEPT, len(samples) // 10)]
    middle = len(fastest) // 2
    if len(fastest) % 2:
        return float(fastest[middle])
    return (fastest[middle - 1] + fastest[middle]) / 2


def attainable(work: Work, roofs: Roofs) -> Attainable | None:
    """Returns the least time of a call, None where a limit that it needs was not measured."""
    fp32, int8, read = roofs.roof("fp32"), roofs.roof("int8"), roofs.roof("read")
    if read is None or fp32 is None or (int8 is None and work.integer_operations):
        return None
    compute = work.float_operations / fp32.rate
    if int8 is not None:
        compute += work.integer_operations / int8.rate
    memory = work.bytes / read.rate
    return Attainable(max(compute, memory), "compute" if compute >= memory else "memory")
