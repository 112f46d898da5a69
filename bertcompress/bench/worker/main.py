"""The measuring process: owns one artifact and one runtime, answers one command at a time.

``python -m bertcompress.bench.worker.main`` reads one JSON object a line from stdin and writes one
a line to stdout:

    {"command": "load", "folder": …, "runtime": "auto", "threads": 2}   -> seconds, names
    {"command": "first", "workload": FILE}                              -> seconds of the first run
    {"command": "warm", "workload": FILE, "minimum_s": …, "maximum_s": …} -> runs, steady
    {"command": "time", "workload": FILE, "start": 0, "stop": 50, "settle": 2} -> seconds of each,
                                                                           and joules, if told
    {"command": "predict", "workload": FILE, "output": FILE}            -> writes the arrays
    {"command": "arrange", "streams": 2, "threads": 1}  -> opens that many runtimes in its place
    {"command": "rate", "workload": FILE, "slice_s": …} -> sentences, tokens a second, all streams
    {"command": "pass", "workload": FILE}               -> seconds of all feeds, all streams
    {"command": "arrive", "workload": FILE, "rate": …, "requests": …, "seed": …, "bound_s": …,
     "allowed": …}                                      -> latencies of requests at random times
    {"command": "memory"}                                               -> resident and peak bytes
    {"command": "roofs", "threads": 2, "seconds": 4}                    -> the machine's limits
    {"command": "execute", "folder": …, "runtime": "auto", "threads": 2, "workload": FILE}
                                                        -> each operator that ran, and its times
    {"command": "quit"}

A command that fails answers ``{"error": sentence, "kind": class}`` and the process goes on. The
file descriptor of stdout is kept for answers alone: whatever a library prints goes to stderr.
The process ends when its stdin does, so it can't outlive its parent.

Clock: `time.perf_counter_ns` around one ``run`` with the inputs at hand, the garbage collector
off. No tokenization, no copy of the inputs.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from bertcompress.bench.worker.load import arrivals, poisson_run, steady_rate
from bertcompress.bench.worker.warm_up import warm_up
from bertcompress.bench.workload import Feed, Workload, load_workload
from bertcompress.errors import BertCompressError, RunError
from bertcompress.inference.streams import Streams
from bertcompress.machine.energy import joules_between, read_energy
from bertcompress.machine.memory import peak_bytes, resident_bytes
from bertcompress.runtimes.base import Runtime

Command = Mapping[str, object]
Answer = dict[str, object]
FAKE_RUNTIME = "fake"
PEER_RUNTIME = "peer"
"""The runtime's name of what another library made; see `bertcompress.bench.peers`."""


class Worker:
    """Holds the runtime between commands."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._runtime: Runtime | None = None
        self._runtimes: list[Runtime] = []
        self._loaded: Command = {}
        self._workloads: dict[str, Workload] = {}
        self._commands: dict[str, Callable[[Command], Answer]] = {
            "load": self.load,
            "first": self.first,
            "warm": self.warm,
            "time": self.time,
            "predict": self.predict,
            "arrange": self.arrange,
            "rate": self.rate,
            "pass": self.run_pass,
            "arrive": self.arrive,
            "memory": self.memory,
            "roofs": self.roofs,
            "execute": self.execute,
        }

    def answer(self, command: Command) -> Answer:
        """Does one command; raises what the library raises."""
        name = str(command.get("command"))
        if name not in self._commands:
            raise RunError(f"the measuring process knows no command {name!r}")
        return self._commands[name](command)

    def close(self) -> None:
        """Gives the runtime back."""
        self._open.close()
        self._runtime = None
        self._runtimes = []

    def load(self, command: Command) -> Answer:
        """Opens the artifact; the seconds include importing the runtime's library."""
        before = resident_bytes()
        started = time.perf_counter_ns()
        runtime = self._open.enter_context(_open(command))
        seconds = (time.perf_counter_ns() - started) * 1e-9
        self._runtime, self._runtimes, self._loaded = runtime, [runtime], command
        return {
            "seconds": seconds,
            "runtime": runtime.name,
            "inputs": list(runtime.inputs),
            "outputs": list(runtime.outputs),
            "interpreter_bytes": before,
            "resident_bytes": resident_bytes(),
            "peak_bytes": peak_bytes(),
        }

    def first(self, command: Command) -> Answer:
        """Runs the workload's first feed once."""
        workload = self._workload(command)
        return {"seconds": self._run_timed(workload.feeds[0])}

    def warm(self, command: Command) -> Answer:
        """Runs until the latency is steady or the time is over."""
        workload = self._workload(command)
        result = warm_up(
            self._run_timed,
            workload.feeds,
            minimum_s=_number(command, "minimum_s"),
            maximum_s=_number(command, "maximum_s"),
        )
        return {"runs": result.runs, "seconds": result.seconds, "steady": result.steady}

    def time(self, command: Command) -> Answer:
        """Times the feeds from `start` to `stop`, after `settle` runs that are not counted."""
        workload = self._workload(command)
        start, stop = int(_number(command, "start")), int(_number(command, "stop"))
        feeds = workload.feeds[start:stop]
        for k in range(min(int(_number(command, "settle")), len(feeds))):
            self._run_timed(feeds[k])
        gc.collect()
        gc.disable()
        before = read_energy()
        try:
            seconds = [self._run_timed(feed) for feed in feeds]
        finally:
            gc.enable()
        return {"seconds": seconds, "energy_j": joules_between(before, read_energy())}

    def predict(self, command: Command) -> Answer:
        """Runs all feeds and writes the outputs as ``output/feed``."""
        workload = load_workload(Path(str(command["workload"])))
        arrays: dict[str, NDArray[np.generic]] = {}
        for k, feed in enumerate(workload.feeds):
            for name, values in self._runtime_or_fail().run(self._taken(feed)).items():
                arrays[f"{name}/{k}"] = values
        with Path(str(command["output"])).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        return {"feeds": len(workload.feeds)}

    def arrange(self, command: Command) -> Answer:
        """Closes what is open and opens the artifact again, once for each stream."""
        self._runtime_or_fail()
        self.close()
        again = {**self._loaded, "threads": command["threads"]}
        streams = int(_number(command, "streams"))
        self._runtimes = list(self._open.enter_context(_open_several(again, streams)))
        self._runtime = self._runtimes[0]
        return {"streams": len(self._runtimes)}

    def rate(self, command: Command) -> Answer:
        """Runs the workload on all streams for a slice of time."""
        feeds = self._workload(command).feeds
        return asdict(steady_rate(self._runtimes, feeds, slice_s=_number(command, "slice_s")))

    def run_pass(self, command: Command) -> Answer:
        """Runs every feed once on all streams."""
        feeds = self._workload(command).feeds
        with Streams(self._runtimes) as streams:
            started = time.perf_counter_ns()
            for _ in streams.run_all(feeds):
                pass
            return {"seconds": (time.perf_counter_ns() - started) * 1e-9}

    def arrive(self, command: Command) -> Answer:
        """Answers requests that arrive at random; see `poisson_run`."""
        requests, seed = int(_number(command, "requests")), int(_number(command, "seed"))
        times = arrivals(requests, _number(command, "rate"), seed=seed)
        done = poisson_run(
            self._runtimes,
            self._workload(command).feeds,
            times=times.tolist(),
            bound_s=_number(command, "bound_s"),
            allowed=int(_number(command, "allowed")),
        )
        return {"seconds": list(done.latencies_s), "whole": done.whole}

    def memory(self, command: Command) -> Answer:
        """Tells the memory now and the most there ever was; the peak can't be reset."""
        del command
        return {"resident_bytes": resident_bytes(), "peak_bytes": peak_bytes()}

    def roofs(self, command: Command) -> Answer:
        """Measures the machine's limits; for a process that holds no artifact."""
        from bertcompress.bench.worker.roof_kernels import measure
        from bertcompress.codec import to_plain

        limits = measure(int(_number(command, "threads")), _number(command, "seconds"))
        return {name: to_plain(getattr(limits, name)) for name in limits.__dataclass_fields__}

    def execute(self, command: Command) -> Answer:
        """Runs an artifact under its runtime's profiler; for a process that holds none."""
        from bertcompress.codec import to_plain
        from bertcompress.profiling.executed import execute

        folder, threads = Path(str(command["folder"])), int(_number(command, "threads"))
        feeds = self._workload(command).feeds
        return {
            "executed": to_plain(execute(folder, str(command["runtime"]), feeds, threads=threads))
        }

    def _run_timed(self, feed: Feed) -> float:
        runtime, taken = self._runtime_or_fail(), self._taken(feed)
        started = time.perf_counter_ns()
        runtime.run(taken)
        return (time.perf_counter_ns() - started) * 1e-9

    def _taken(self, feed: Feed) -> Feed:
        return {name: feed[name] for name in self._runtime_or_fail().inputs}

    def _runtime_or_fail(self) -> Runtime:
        if self._runtime is None:
            raise RunError("the measuring process was asked to run before it was asked to load")
        return self._runtime

    def _workload(self, command: Command) -> Workload:
        path = str(command["workload"])
        if path not in self._workloads:
            self._workloads[path] = load_workload(Path(path))
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
    """Reads commands and writes answers, a line each, until ``quit`` or the end of the input."""
    for line in commands:
        command = json.loads(line)
        if command.get("command") == "quit":
            answers.write("{}\n")
            return
        try:
            reply = worker.answer(command)
        except Exception as error:  # the parent raises it again, with the variant's name
            reply = {"error": _sentence(error), "kind": type(error).__name__}
        answers.write(json.dumps(reply) + "\n")


def _sentence(error: Exception) -> str:
    if isinstance(error, BertCompressError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _open(command: Command) -> Runtime:
    folder, threads = Path(str(command["folder"])), int(_number(command, "threads"))
    if command["runtime"] == FAKE_RUNTIME:
        from bertcompress.bench.worker.fake import open_fake

        return open_fake(folder, threads=threads)
    if command["runtime"] == PEER_RUNTIME:
        from bertcompress.bench.worker.peer_runners import open_peer

        return open_peer(folder, threads=threads)
    from bertcompress.runtimes import open_runtime

    return open_runtime(folder, str(command["runtime"]), threads=threads)


@contextmanager
def _open_several(command: Command, streams: int) -> Iterator[Sequence[Runtime]]:
    """Opens the artifact for so many runs at a time, as whoever deploys it would."""
    if command["runtime"] not in (FAKE_RUNTIME, PEER_RUNTIME):
        from bertcompress.runtimes import open_runtimes

        folder, threads = Path(str(command["folder"])), int(_number(command, "threads"))
        name = str(command["runtime"])
        with open_runtimes(folder, name, streams=streams, threads=threads) as runtimes:
            yield runtimes
        return
    with ExitStack() as stack:
        yield [stack.enter_context(_open(command)) for _ in range(streams)]


def _number(command: Command, key: str) -> float:
    value = command[key]
    if not isinstance(value, int | float):
        raise RunError(f"the command's {key} must be a number, got {value!r}")
    return float(value)


if __name__ == "__main__":
    sys.exit(main())
