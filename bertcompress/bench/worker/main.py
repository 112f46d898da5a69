"""The measuring process: owns one artifact and one runtime, answers one command at a time.

``python -m bertcompress.bench.worker.main`` reads one command a line from stdin and writes one
answer a line to stdout; `bertcompress.bench.worker.messages` says which there are. A command that
fails is answered with its error and the process goes on. The file descriptor of stdout is kept for
answers alone: whatever a library prints goes to stderr. The process ends when its stdin does, so
it can't outlive its parent.

Clock: `time.perf_counter_ns` around one ``run`` with the inputs at hand, the garbage collector
off. No tokenization, no copy of the inputs.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from bertcompress.bench.names import FAKE_RUNTIME, PEER_RUNTIME
from bertcompress.bench.roofs import Roofs
from bertcompress.bench.worker.load import PoissonRun, Rate, arrivals, poisson_run, steady_rate
from bertcompress.bench.worker.messages import (
    AnswerArrivals,
    ArrangeStreams,
    Command,
    Elapsed,
    Failure,
    LoadArtifact,
    LoadedArtifact,
    MeasureRate,
    MeasureRoofs,
    MemoryNow,
    OpenStreams,
    ProfileOperators,
    ReadMemory,
    RunFirst,
    RunUntilSteady,
    SweepWorkload,
    TimedRuns,
    TimeEach,
    WriteOutputs,
    WrittenOutputs,
    answer_line,
    read_command,
)
from bertcompress.bench.worker.warm_up import WarmUp, warm_up
from bertcompress.bench.workload import Feed, Workload, load_workload
from bertcompress.errors import BertCompressError, RunError
from bertcompress.inference.streams import Streams
from bertcompress.machine.energy import joules_between, read_energy
from bertcompress.machine.memory import peak_bytes, resident_bytes
from bertcompress.profiling.profiled_run import ProfiledRun
from bertcompress.runtimes.base import Runtime


class Worker:
    """Holds the runtime between commands."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._runtimes: Sequence[Runtime] = ()
        self._loaded: LoadArtifact | None = None
        self._workloads: dict[Path, Workload] = {}

    def answer(self, command: Command[object]) -> object:
        """Does one command; raises what the library raises."""
        match command:
            case LoadArtifact():
                return self.load(command)
            case RunFirst():
                return Elapsed(self._run_timed(self._workload(command.workload).feeds[0]))
            case RunUntilSteady():
                return self.warm(command)
            case TimeEach():
                return self.time(command)
            case WriteOutputs():
                return self.predict(command)
            case ArrangeStreams():
                return self.arrange(command)
            case MeasureRate():
                return self.rate(command)
            case SweepWorkload():
                return self.sweep(command)
            case AnswerArrivals():
                return self.arrive(command)
            case ReadMemory():
                return MemoryNow(resident_bytes(), peak_bytes())
            case MeasureRoofs():
                return _roofs(command)
            case ProfileOperators():
                return self.profile(command)
        raise RunError(f"the measuring process knows no command {command.name!r}")

    def close(self) -> None:
        """Gives the runtime back."""
        self._open.close()
        self._runtimes = ()

    def load(self, command: LoadArtifact) -> LoadedArtifact:
        """Opens the artifact; the seconds include importing the runtime's library."""
        before = resident_bytes()
        started = time.perf_counter_ns()
        runtime = self._open.enter_context(_open(command))
        seconds = (time.perf_counter_ns() - started) * 1e-9
        self._runtimes, self._loaded = (runtime,), command
        return LoadedArtifact(
            seconds=seconds,
            runtime=runtime.name,
            inputs=runtime.input_names,
            outputs=tuple(runtime.outputs),
            interpreter_bytes=before,
            resident_bytes=resident_bytes(),
            peak_bytes=peak_bytes(),
        )

    def warm(self, command: RunUntilSteady) -> WarmUp:
        """Runs until the latency is steady or the time is over."""
        feeds = self._workload(command.workload).feeds
        return warm_up(
            self._run_timed, feeds, minimum_s=command.minimum_s, maximum_s=command.maximum_s
        )

    def time(self, command: TimeEach) -> TimedRuns:
        """Times the feeds from `start` to `stop`, after `settle` runs that are not counted."""
        feeds = self._workload(command.workload).feeds[command.start : command.stop]
        for feed in feeds[: command.settle]:
            self._run_timed(feed)
        gc.collect()
        gc.disable()
        before = read_energy()
        try:
            seconds = tuple(self._run_timed(feed) for feed in feeds)
        finally:
            gc.enable()
        return TimedRuns(seconds, joules_between(before, read_energy()))

    def predict(self, command: WriteOutputs) -> WrittenOutputs:
        """Runs all feeds and writes the outputs as ``output/feed``."""
        workload = load_workload(command.workload)
        arrays: dict[str, NDArray[np.generic]] = {}
        for k, feed in enumerate(workload.feeds):
            for name, values in self._runtime().run(self._taken(feed)).items():
                arrays[f"{name}/{k}"] = values
        with command.output.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        return WrittenOutputs(len(workload.feeds))

    def arrange(self, command: ArrangeStreams) -> OpenStreams:
        """Closes what is open and opens the artifact again, once for each stream."""
        self._runtime()
        assert self._loaded is not None  # a runtime is open
        self.close()
        again = replace(self._loaded, threads=command.threads)
        self._runtimes = self._open.enter_context(_open_several(again, command.streams))
        return OpenStreams(len(self._runtimes))

    def rate(self, command: MeasureRate) -> Rate:
        """Runs the workload on all streams for a slice of time."""
        feeds = self._workload(command.workload).feeds
        return steady_rate(self._runtimes, feeds, slice_s=command.slice_s)

    def sweep(self, command: SweepWorkload) -> Elapsed:
        """Runs every feed once on all streams."""
        feeds = self._workload(command.workload).feeds
        with Streams(self._runtimes) as streams:
            started = time.perf_counter_ns()
            for _ in streams.run_all(feeds):
                pass
            return Elapsed((time.perf_counter_ns() - started) * 1e-9)

    def arrive(self, command: AnswerArrivals) -> PoissonRun:
        """Answers requests that arrive at random; see `poisson_run`."""
        return poisson_run(
            self._runtimes,
            self._workload(command.workload).feeds,
            times=arrivals(command.requests, command.rate, seed=command.seed).tolist(),
            bound_s=command.bound_s,
            allowed=command.allowed,
        )

    def profile(self, command: ProfileOperators) -> ProfiledRun:
        """Runs an artifact under its runtime's profiler; for a process that holds none."""
        from bertcompress.profiling.profile_run import profile_run

        feeds = self._workload(command.workload).feeds
        return profile_run(command.folder, command.runtime, feeds, threads=command.threads)

    def _run_timed(self, feed: Feed) -> float:
        runtime, taken = self._runtime(), self._taken(feed)
        started = time.perf_counter_ns()
        runtime.run(taken)
        return (time.perf_counter_ns() - started) * 1e-9

    def _taken(self, feed: Feed) -> Feed:
        return {name: feed[name] for name in self._runtime().input_names}

    def _runtime(self) -> Runtime:
        if not self._runtimes:
            raise RunError("the measuring process was asked to run before it was asked to load")
        return self._runtimes[0]

    def _workload(self, path: Path) -> Workload:
        if path not in self._workloads:
            self._workloads[path] = load_workload(path)
        return self._workloads[path]


def main() -> int:
    """Answers commands until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    worker = Worker()
    try:
        serve(worker, sys.stdin, answers)
    finally:
        worker.close()
    return 0


def serve(worker: Worker, commands: TextIO, answers: TextIO) -> None:
    """Reads commands and writes answers, a line each, until the end of the input."""
    for line in commands:
        try:
            answer = worker.answer(read_command(line))
        except Exception as error:  # the parent raises it again, with the variant's name
            answer = Failure(_sentence(error), type(error).__name__)
        answers.write(answer_line(answer))


def _sentence(error: Exception) -> str:
    if isinstance(error, BertCompressError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _roofs(command: MeasureRoofs) -> Roofs:
    from bertcompress.bench.worker.roof_kernels import measure  # its imports are measured memory

    return measure(command.threads, command.seconds)


def _open(command: LoadArtifact) -> Runtime:
    if command.runtime == FAKE_RUNTIME:
        from bertcompress.bench.worker.fake import open_fake

        return open_fake(command.folder, threads=command.threads)
    if command.runtime == PEER_RUNTIME:
        from bertcompress.bench.worker.peer_runners import open_peer

        return open_peer(command.folder, threads=command.threads)
    from bertcompress.runtimes import open_runtime

    return open_runtime(command.folder, command.runtime, threads=command.threads)


@contextmanager
def _open_several(command: LoadArtifact, streams: int) -> Iterator[Sequence[Runtime]]:
    """Opens the artifact for the given number of runs at a time, as whoever deploys it would."""
    if command.runtime not in (FAKE_RUNTIME, PEER_RUNTIME):
        from bertcompress.runtimes import open_runtimes

        with open_runtimes(
            command.folder, command.runtime, streams=streams, threads=command.threads
        ) as runtimes:
            yield runtimes
        return
    with ExitStack() as stack:
        yield [stack.enter_context(_open(command)) for _ in range(streams)]


if __name__ == "__main__":
    sys.exit(main())
