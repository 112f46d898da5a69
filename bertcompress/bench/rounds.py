"""One round: fresh processes, the same inputs, turns taken in a rotated order.

A machine drifts: its clock, its neighbours, its caches. So a round starts one process for each
variant, cuts every workload into blocks and lets the variants take turns after each block, the
first in line moving on by one each time: whatever the machine does, it does to all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.tuned_rounds import TunedSetup, TunedTimes, measure_tuned
from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.worker.messages import ReadMemory, RunFirst, RunUntilSteady, TimeEach
from bertcompress.bench.workload import Workload, part_of, save_workload
from bertcompress.machine.environment import read_cpu_times, shares_between
from bertcompress.machine.throttling import read_throttling, throttled_between

SETTLE_RUNS = 2


@dataclass(frozen=True)
class MemorySample:
    """Memory of one process, bytes.

    Attributes:
        interpreter_bytes: Resident before the artifact was loaded: Python and NumPy.
        loaded_bytes: Resident after.
        latency_peak_bytes: The peak after all single sentences.
        peak_bytes: The peak after everything.
    """

    interpreter_bytes: int
    loaded_bytes: int
    latency_peak_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class Entrant:
    """Who takes part in a round, and in which workloads.

    Attributes:
        name: The variant's name, or `AGAIN`.
        folder: Its artifact.
        runtime: What runs it.
        only_single_stream: Whether it takes part in the single-stream workload alone.
        tuned: Its own best settings, to be measured besides; None measures none.
    """

    name: str
    folder: Path
    runtime: str
    only_single_stream: bool = False
    tuned: TunedSetup | None = None


@dataclass(frozen=True)
class EntrantRound:
    """What one process measured.

    Attributes:
        name: Whose it is.
        runtime: What ran, by its own name.
        load_s: Seconds to load.
        first_answer_s: Seconds to the first answer, loading included.
        steady: Whether the warm-up ended steady.
        memory: Of the process.
        seconds: For each workload (by its position) the seconds of each call; empty where the
            entrant did not take part.
        energy_j: For each workload the energy of all its calls, None where the machine does not
            tell.
        tuned: The same at its own best settings, None if it has none.
    """

    name: str
    runtime: str
    load_s: float
    first_answer_s: float
    steady: bool
    memory: MemorySample
    seconds: tuple[tuple[float, ...], ...]
    energy_j: tuple[float | None, ...] = ()
    tuned: TunedTimes | None = None


@dataclass(frozen=True)
class RoundResult:
    """What one round measured, and the CPU time in use, stolen and withheld meanwhile."""

    entrants: tuple[EntrantRound, ...]
    busy_fraction: float | None
    steal_fraction: float | None
    throttled_fraction: float | None = None


def measure_round(
    entrants: Sequence[Entrant],
    workloads: Sequence[Workload],
    *,
    own: Mapping[str, Sequence[Workload]] = MappingProxyType({}),
    settings: BenchSettings,
    threads: int,
    number: int,
    scratch: Path,
    step: Callable[[str], None],
) -> RoundResult:
    """Measures all workloads on all entrants once.

    Args:
        entrants: Who takes part.
        workloads: Single-stream first: memory is read after it.
        own: The same for entrants that read the texts as other tokens, by their names.
        settings: How much to measure.
        threads: Of each runtime.
        number: The round's number; rotates the order.
        scratch: A folder for the inputs.
        step: Progress callback: what was just finished.

    Raises:
        RunError: If a variant can't be loaded or run.
    """
    paths = _saved(workloads, scratch / f"round-{number}")
    paths_of = {
        name: _saved(others, scratch / f"round-{number}-of-{place}")
        for place, (name, others) in enumerate(own.items())
    }
    before, throttling = read_cpu_times(), read_throttling()
    line = [*entrants[number % len(entrants) :], *entrants[: number % len(entrants)]]
    groups = [line] if settings.side_by_side else [[entrant] for entrant in line]
    rounds: dict[str, EntrantRound] = {}
    for group in groups:
        with ExitStack() as open_processes:
            stalls = []
            for entrant in group:
                process = WorkerProcess(entrant.name, scratch=scratch, threads=threads)
                stalls.append(
                    _Stall(
                        entrant,
                        open_processes.enter_context(process),
                        paths_of.get(entrant.name, paths),
                    )
                )
            _measure_group(stalls, workloads, settings, step)
            setups = [(stall, stall.entrant.tuned) for stall in stalls if stall.entrant.tuned]
            for stall, _ in setups:
                stall.after_all = stall.peak()
            tuned = measure_tuned(
                [(stall.process, setup, stall.paths[0]) for stall, setup in setups],
                workloads[0],
                settings=settings,
                threads=threads,
                scratch=scratch,
                step=step,
            )
            for (stall, _), times in zip(setups, tuned, strict=True):
                stall.tuned = times
            rounds |= {stall.entrant.name: stall.result(len(workloads)) for stall in stalls}
    busy, steal = shares_between(before, read_cpu_times()) or (None, None)
    throttled = throttled_between(throttling, read_throttling())
    for path in [*paths, *chain.from_iterable(paths_of.values())]:
        path.unlink()
    ordered = tuple(rounds[entrant.name] for entrant in entrants)
    return RoundResult(ordered, busy, steal, throttled)


def _saved(workloads: Sequence[Workload], start: Path) -> list[Path]:
    paths = [start.with_name(f"{start.name}-{i}.npz") for i in range(len(workloads))]
    for workload, path in zip(workloads, paths, strict=True):
        save_workload(workload, path)
    return paths


class _Stall:
    """One entrant's process and what it has measured so far."""

    def __init__(self, entrant: Entrant, process: WorkerProcess, paths: Sequence[Path]) -> None:
        self.entrant = entrant
        self.process = process
        self.paths = paths
        self.seconds: dict[int, list[float]] = {}
        self.energy_j: dict[int, list[float | None]] = {}
        self.steady = False
        self.after_single_stream = 0
        self.after_all = 0
        self.tuned: TunedTimes | None = None

    def start(self, workload: Path) -> None:
        """Loads and answers once."""
        self._loaded = self.process.load(self.entrant.folder, self.entrant.runtime)
        self._first_s = self.process.ask(RunFirst(workload)).seconds

    def time(self, number: int, workload: Path, part: range) -> None:
        """Times a block of a workload."""
        runs = self.process.ask(TimeEach(workload, part.start, part.stop, SETTLE_RUNS))
        self.seconds.setdefault(number, []).extend(round(second, 8) for second in runs.seconds)
        joules = None if runs.energy_j is None else round(runs.energy_j, 6)
        self.energy_j.setdefault(number, []).append(joules)

    def takes(self, workload: Workload) -> bool:
        return workload.scenario == "single-stream" or not self.entrant.only_single_stream

    def result(self, workloads: int) -> EntrantRound:
        """Reads the memory and closes the account."""
        peak = self.after_all or self.peak()
        return EntrantRound(
            name=self.entrant.name,
            runtime=self._loaded.runtime,
            load_s=self._loaded.seconds,
            first_answer_s=self._loaded.seconds + self._first_s,
            steady=self.steady,
            memory=MemorySample(
                interpreter_bytes=self._loaded.interpreter_bytes,
                loaded_bytes=self._loaded.resident_bytes,
                latency_peak_bytes=self.after_single_stream or peak,
                peak_bytes=peak,
            ),
            seconds=tuple(tuple(self.seconds.get(i, ())) for i in range(workloads)),
            energy_j=tuple(_sum(self.energy_j.get(i, ())) for i in range(workloads)),
            tuned=self.tuned,
        )

    def peak(self) -> int:
        return self.process.ask(ReadMemory()).peak_bytes


def _measure_group(
    stalls: Sequence[_Stall],
    workloads: Sequence[Workload],
    settings: BenchSettings,
    step: Callable[[str], None],
) -> None:
    for stall in stalls:
        stall.start(stall.paths[0])
        step(f"{stall.entrant.name}: loaded")
    for i, workload in enumerate(workloads):
        taking = [stall for stall in stalls if stall.takes(workload)]
        for stall in taking:
            steady = _warm(stall, workload, stall.paths[i], settings)
            stall.steady = steady if workload.scenario == "single-stream" else stall.steady
        blocks = min(settings.blocks, len(workload.feeds))
        for block in range(blocks):
            first = block % len(taking) if taking else 0
            for stall in [*taking[first:], *taking[:first]]:
                stall.time(i, stall.paths[i], part_of(workload, block, blocks))
        for stall in taking:
            if workload.scenario == "single-stream":
                stall.after_single_stream = stall.peak()
            step(f"{stall.entrant.name}: {workload.name}")


def _warm(stall: _Stall, workload: Workload, path: Path, settings: BenchSettings) -> bool:
    """Warms up fully before the single sentences, then only enough to meet the new shapes."""
    single = workload.scenario == "single-stream"
    command = RunUntilSteady(
        path,
        minimum_s=settings.warm_minimum_s if single else 0.0,
        maximum_s=settings.warm_maximum_s if single else settings.warm_minimum_s / 4,
    )
    return stall.process.ask(command).steady


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known and len(known) == len(parts) else None
