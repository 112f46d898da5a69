"""Commands and answers on their way through a line of JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertcompress.bench.roofs import Roof, Roofs
from bertcompress.bench.worker.load import PoissonRun, Rate
from bertcompress.bench.worker.messages import (
    COMMANDS,
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
    command_line,
    read_answer,
    read_command,
)
from bertcompress.bench.worker.warm_up import WarmUp
from bertcompress.errors import RunError
from bertcompress.profiling.profiled_run import ProfiledRun, RanNode

FILE = Path("own.npz")
EXCHANGES: list[tuple[Command[object], object]] = [
    (
        LoadArtifact(Path("a"), "auto", threads=2),
        LoadedArtifact(0.5, "ort-cpu", ("input_ids",), ("logits",), 1, 2, 3),
    ),
    (RunFirst(FILE), Elapsed(0.25)),
    (RunUntilSteady(FILE, minimum_s=0.0, maximum_s=1.5), WarmUp(30, 0.5, steady=True)),
    (TimeEach(FILE, start=0, stop=4, settle=2), TimedRuns((0.25, 0.5), None)),
    (WriteOutputs(FILE, Path("out.npz")), WrittenOutputs(4)),
    (ArrangeStreams(streams=2, threads=1), OpenStreams(2)),
    (MeasureRate(FILE, slice_s=0.5), Rate(10.0, 100.0, 0.5, 7)),
    (SweepWorkload(FILE), Elapsed(0.125)),
    (
        AnswerArrivals(FILE, rate=90.0, requests=10, seed=0, bound_s=0.5, allowed=1),
        PoissonRun((0.25, 0.5), whole=False),
    ),
    (ReadMemory(), MemoryNow(1, 2)),
    (MeasureRoofs(threads=2, seconds=4.0), Roofs(2, (Roof("fp32", 2, 1.0, (1.0,), "MatMul"),))),
    (
        ProfileOperators(Path("a"), "auto", 2, FILE),
        ProfiledRun("openvino", (RanNode("n", "k", "k", None, None, False, (1.0,)),), (2.0,), ()),
    ),
]


@pytest.mark.parametrize(("command", "answer"), EXCHANGES, ids=list(COMMANDS))
def test_a_command_and_its_answer_come_through_as_they_were(
    command: Command[object], answer: object
) -> None:
    assert read_command(command_line(command)) == command
    assert read_answer(command, answer_line(answer)) == answer
    assert command_line(command).count("\n") == answer_line(answer).count("\n") == 1


def test_a_failure_is_told_apart_from_an_answer() -> None:
    failure = Failure("the graph is cut short", "LoadError")

    assert read_answer(ReadMemory(), answer_line(failure)) == failure


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"command": "dance"}, "no command 'dance'"),
        ({}, "no command None"),
        ({"command": "sweep"}, "sweep.workload is missing"),
        (
            {"command": "arrange", "streams": 2, "threads": "two"},
            "arrange.threads must be a whole number, got 'two'",
        ),
    ],
)
def test_what_is_no_command_is_told(plain: object, message: str) -> None:
    with pytest.raises(RunError, match=message):
        read_command(json.dumps(plain))
