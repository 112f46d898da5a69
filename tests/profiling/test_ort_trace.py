"""Reading ONNX Runtime's trace."""

from __future__ import annotations

import pytest

from bertcompress.errors import RunError
from bertcompress.profiling.ort_trace import read_trace


def node(name: str, kind: str, microseconds: int, given: str = "float") -> dict[str, object]:
    facts = {"op_name": kind, "input_type_shape": [{given: [1, 2]}, {"int8": [2, 2]}]}
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": microseconds, "args": facts}


def run(microseconds: int) -> dict[str, object]:
    return {"cat": "Session", "name": "model_run", "dur": microseconds, "args": {}}


def test_each_run_has_the_operators_that_ended_before_it() -> None:
    load = {"cat": "Session", "name": "session_initialization", "dur": 9000, "args": {}}
    warm = [node("a", "MatMul", 90), run(99)]
    events = [load, *warm, node("a", "MatMul", 10), run(12), node("a", "MatMul", 20), run(25)]

    trace = read_trace(events, runs=2)

    assert trace.run_s == pytest.approx((12e-6, 25e-6))
    [only] = trace.nodes
    assert (only.name, only.kind, only.given) == ("a", "MatMul", "float32")
    assert only.seconds == pytest.approx((10e-6, 20e-6))


def test_two_operators_of_one_name_are_told_apart_by_type_and_else_added() -> None:
    events = [
        node("a", "MatMulInteger", 5, "uint8"),
        node("a", "Cast", 3, "int32"),
        node("a", "Cast", 4, "int32"),
        run(20),
    ]
    found = {(one.kind, one.given): one.seconds for one in read_trace(events, runs=1).nodes}
    assert found == {
        ("MatMulInteger", "uint8"): pytest.approx((5e-6,)),
        ("Cast", "int32"): pytest.approx((7e-6,)),
    }


def test_a_trace_with_fewer_runs_is_refused() -> None:
    with pytest.raises(RunError, match="holds 1 of 2 runs"):
        read_trace([node("a", "MatMul", 5), run(7)], runs=2)


def test_an_event_without_a_time_is_refused() -> None:
    with pytest.raises(RunError, match="where a time belongs"):
        read_trace([{**run(7), "dur": "soon"}], runs=1)
