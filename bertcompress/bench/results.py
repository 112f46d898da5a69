"""What the stages of a run measured, on its way into a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertcompress.bench.paired import Scored
from bertcompress.bench.request_rate import ServerResult
from bertcompress.bench.roofs import Roofs
from bertcompress.bench.rounds import RoundResult
from bertcompress.bench.tuning import Tuning
from bertcompress.bench.workload import Workload
from bertcompress.machine.environment import Environment
from bertcompress.profiling.precision_map import PrecisionMap


@dataclass(frozen=True)
class Parts:
    """What was measured.

    Attributes:
        environment: The machine, before and after.
        scored: The answers of each variant, empty if accuracy was not asked for.
        rounds: All rounds; a baseline measured again is each round's last entrant.
        workloads: The workloads of each round.
        tokenization_s: Seconds of tokenizing single examples.
        roofs: The machine's limits, None if they were not asked for.
        tunings: The best settings of each variant, empty if they were not asked for.
        servers: What each variant bears, empty if it was not asked for.
        precision_maps: What ran in which precision, for each variant; empty if nobody asked.
        skipped: What was left out, and why.
    """

    environment: Environment
    scored: tuple[Scored, ...]
    rounds: tuple[RoundResult, ...]
    workloads: tuple[Sequence[Workload], ...]
    tokenization_s: tuple[float, ...] = ()
    roofs: Roofs | None = None
    tunings: tuple[Tuning, ...] = ()
    servers: tuple[ServerResult, ...] = ()
    precision_maps: tuple[PrecisionMap | None, ...] = ()
    skipped: tuple[str, ...] = ()
