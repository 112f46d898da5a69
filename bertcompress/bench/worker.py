"""The measuring process: owns one artifact and one runtime, answers one command at a time.

``python -m bertcompress.bench.worker`` reads one JSON object a line from stdin and writes one a
line to stdout:

    {"command": "load", "folder": …, "runtime": "auto", "threads": 2}   -> seconds, names
    {"command": "first", "workload": FILE}                              -> seconds of the first run
    {"command": "warm", "workload": FILE, "minimum_s": …, "maximum_s": …} -> runs, steady
    {"command": "time", "workload": FILE, "start": 0, "stop": 50, "settle": 2} -> seconds of each
    {"command": "predict", "workload": FILE, "output": FILE}            -> writes the arrays
    {"command": "memory"}                                               -> resident and peak bytes
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
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from bertcompress.bench.memory import peak_bytes, resident_bytes
from bertcompress.bench.warm_up import warm_up
from bertcompress.bench.workload import Feed, Workload, load_workload
from bertcompress.errors import BertCompressError, RunError
from bertcompress.runtimes.base import Runtime

Command = Mapping[str, object]
Answer = dict[str, object]
FAKE_RUNTIME = "fake"


class Worker:
    """Holds the runtime between commands."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._runtime: Runtime | None = None
        self._workloads: dict[str, Workload] = {}
        self._commands: dict[str, Callable[[Command], Answer]] = {
            "load": self.load,
            "first": self.first,
            "warm": self.warm,
            "time": self.time,
            "predict": self.predict,
            "memory": self.memory,
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

    def load(self, command: Command) -> Answer:
        """Opens the artifact; the seconds include importing the runtime's library."""
        before = resident_bytes()
        started = time.perf_counter_ns()
        runtime = self._open.enter_context(_open(command))
        seconds = (time.perf_counter_ns() - started) * 1e-9
        self._runtime = runtime
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
        try:
            return {"seconds": [self._run_timed(feed) for feed in feeds]}
        finally:
            gc.enable()

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

    def memory(self, command: Command) -> Answer:
        """Tells the memory now and the most there ever was; the peak can't be reset."""
        del command
        return {"resident_bytes": resident_bytes(), "peak_bytes": peak_bytes()}

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
        from bertcompress.bench.fake_artifact import open_fake

        return open_fake(folder)
    from bertcompress.runtimes import open_runtime

    return open_runtime(folder, str(command["runtime"]), threads=threads)


def _number(command: Command, key: str) -> float:
    value = command[key]
    if not isinstance(value, int | float):
        raise RunError(f"the command's {key} must be a number, got {value!r}")
    return float(value)


if __name__ == "__main__":
    sys.exit(main())
