"""What the measuring process is asked and what it answers: a dataclass for each.

A command is a line of JSON with its fields and its name, ``{"command": "sweep", "workload": …}``,
and its answer is a line with the fields of the answer's class. `Command` carries the type of its
answer, so that ``client.ask(SweepWorkload(path)).seconds`` is a float for the type checker too.

A command that fails is answered with a `Failure`: ``{"error": sentence, "kind": class}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar, cast, get_args

from bertcompress.bench.roofs import Roofs
from bertcompress.bench.worker.load import PoissonRun, Rate
from bertcompress.bench.worker.warm_up import WarmUp
from bertcompress.codec import from_plain, to_plain
from bertcompress.errors import DataError, RunError
from bertcompress.profiling.profiled_run import ProfiledRun

A = TypeVar("A", covariant=True)


@dataclass(frozen=True)
class Failure:
    """The answer of a command that failed.

    Attributes:
        error: The sentence.
        kind: The exception's class.
    """

    error: str
    kind: str


@dataclass(frozen=True)
class LoadedArtifact:
    """An artifact that was opened.

    Attributes:
        seconds: To open it, the import of the runtime's library included.
        runtime: What runs it, by its own name.
        inputs: Names of the model's inputs.
        outputs: Names of its outputs.
        interpreter_bytes: Resident memory before.
        resident_bytes: Resident memory after.
        peak_bytes: The most there was.
    """

    seconds: float
    runtime: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    interpreter_bytes: int
    resident_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class Elapsed:
    """How long the whole command ran, in seconds."""

    seconds: float


@dataclass(frozen=True)
class TimedRuns:
    """Seconds of each run, and the joules of all, None where the machine does not tell."""

    seconds: tuple[float, ...]
    energy_j: float | None


@dataclass(frozen=True)
class WrittenOutputs:
    """How many feeds were answered."""

    feeds: int


@dataclass(frozen=True)
class OpenStreams:
    """How many runtimes are open."""

    streams: int


@dataclass(frozen=True)
class MemoryNow:
    """Resident memory and the most there ever was, bytes; the peak can't be reset."""

    resident_bytes: int
    peak_bytes: int


class Command(Generic[A]):
    """Something the measuring process does; `A` is its answer."""

    name: ClassVar[str]


@dataclass(frozen=True)
class LoadArtifact(Command[LoadedArtifact]):
    """Opens an artifact."""

    name: ClassVar[str] = "load"
    folder: Path
    runtime: str
    threads: int


@dataclass(frozen=True)
class RunFirst(Command[Elapsed]):
    """Runs the first feed of a workload once."""

    name: ClassVar[str] = "first"
    workload: Path


@dataclass(frozen=True)
class RunUntilSteady(Command[WarmUp]):
    """Runs feeds until the latency is steady or `maximum_s` is over."""

    name: ClassVar[str] = "warm"
    workload: Path
    minimum_s: float
    maximum_s: float


@dataclass(frozen=True)
class TimeEach(Command[TimedRuns]):
    """Times the feeds from `start` to `stop`, after `settle` runs that are not counted."""

    name: ClassVar[str] = "time"
    workload: Path
    start: int
    stop: int
    settle: int


@dataclass(frozen=True)
class WriteOutputs(Command[WrittenOutputs]):
    """Runs all feeds and writes their outputs to a file, as ``output/feed``."""

    name: ClassVar[str] = "predict"
    workload: Path
    output: Path


@dataclass(frozen=True)
class ArrangeStreams(Command[OpenStreams]):
    """Closes what is open and opens the artifact again, once for each stream."""

    name: ClassVar[str] = "arrange"
    streams: int
    threads: int


@dataclass(frozen=True)
class MeasureRate(Command[Rate]):
    """Runs a workload on all streams for a slice of time."""

    name: ClassVar[str] = "rate"
    workload: Path
    slice_s: float


@dataclass(frozen=True)
class SweepWorkload(Command[Elapsed]):
    """Runs every feed once on all streams."""

    name: ClassVar[str] = "sweep"
    workload: Path


@dataclass(frozen=True)
class AnswerArrivals(Command[PoissonRun]):
    """Answers requests that arrive at random; see `bertcompress.bench.worker.load`."""

    name: ClassVar[str] = "arrive"
    workload: Path
    rate: float
    requests: int
    seed: int
    bound_s: float
    allowed: int


@dataclass(frozen=True)
class ReadMemory(Command[MemoryNow]):
    """Tells the memory of the process."""

    name: ClassVar[str] = "memory"


@dataclass(frozen=True)
class MeasureRoofs(Command[Roofs]):
    """Measures the machine's limits; for a process that holds no artifact."""

    name: ClassVar[str] = "roofs"
    threads: int
    seconds: float


@dataclass(frozen=True)
class ProfileOperators(Command[ProfiledRun]):
    """Runs an artifact under its runtime's profiler; for a process that holds none."""

    name: ClassVar[str] = "profile"
    folder: Path
    runtime: str
    threads: int
    workload: Path


COMMANDS: Mapping[str, type[Command[object]]] = {
    kind.name: kind
    for kind in (
        LoadArtifact,
        RunFirst,
        RunUntilSteady,
        TimeEach,
        WriteOutputs,
        ArrangeStreams,
        MeasureRate,
        SweepWorkload,
        AnswerArrivals,
        ReadMemory,
        MeasureRoofs,
        ProfileOperators,
    )
}


def command_line(command: Command[object]) -> str:
    """Returns the line that asks for a command."""
    fields = to_plain(command)
    assert isinstance(fields, dict)  # a command is a dataclass
    return json.dumps({"command": command.name, **fields}) + "\n"


def read_command(line: str) -> Command[object]:
    """Returns the command that a line asks for.

    Raises:
        RunError: There is no such command, or one of its fields is missing or of another type.
    """
    plain = json.loads(line)
    name = plain.pop("command", None)
    if name not in COMMANDS:
        raise RunError(f"the measuring process knows no command {name!r}")
    try:
        return from_plain(COMMANDS[name], plain, name)
    except DataError as error:
        raise RunError(f"the measuring process can't do this: {error}") from error


def answer_line(answer: object) -> str:
    """Returns the line that answers a command."""
    return json.dumps(to_plain(answer)) + "\n"


def read_answer(command: Command[A], line: str) -> A | Failure:
    """Returns the answer to a command, or why there is none."""
    plain = json.loads(line)
    if "error" in plain:
        return from_plain(Failure, plain)
    [base] = vars(type(command))["__orig_bases__"]  # Command[its answer]
    return cast("A", from_plain(get_args(base)[0], plain))
