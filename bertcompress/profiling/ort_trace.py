"""ONNX Runtime's trace: how long each operator of each run took.

The trace is a list of events, each written when it ended: an operator's ``<name>_kernel_time``,
and after a run's last operator the run's own ``model_run``. Durations are microseconds. An
operator without a name is called ``<type>_<number>``. Source: ONNX Runtime documentation,
"Profiling tools".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bertcompress.errors import RunError

_KERNEL, _RUN = "_kernel_time", "model_run"


@dataclass(frozen=True)
class TracedNode:
    """One operator.

    Attributes:
        name: Its name in the optimized graph.
        kind: Its type.
        given: The type of its first input, as NumPy calls it.
        seconds: Of each run.
    """

    name: str
    kind: str
    given: str
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Trace:
    """Operators in the order they ran, and the seconds of each whole run."""

    nodes: tuple[TracedNode, ...]
    run_s: tuple[float, ...]


def read_trace(events: Sequence[Mapping[str, object]], *, runs: int) -> Trace:
    """Reads the last `runs` runs.

    Raises:
        RunError: If there are fewer, or an event is not as expected.
    """
    given: dict[tuple[str, str], str] = {}
    every: list[dict[tuple[str, str], float]] = [{}]
    run_s: list[float] = []
    for event in events:
        name = str(event.get("name"))
        if name == _RUN:
            run_s.append(_seconds(event))
            every.append({})
        elif event.get("cat") == "Node" and name.endswith(_KERNEL):
            facts = event.get("args")
            assert isinstance(facts, dict)
            key = name.removesuffix(_KERNEL), str(facts["op_name"])
            given.setdefault(key, _first_type(facts))
            every[-1][key] = every[-1].get(key, 0.0) + _seconds(event)
    if len(run_s) < runs:
        raise RunError(f"ONNX Runtime's trace holds {len(run_s)} of {runs} runs; ask for fewer")
    counted = every[len(run_s) - runs : len(run_s)]
    nodes = tuple(
        TracedNode(*key, kind, tuple(run.get(key, 0.0) for run in counted))
        for key, kind in given.items()
    )
    return Trace(nodes, tuple(run_s[len(run_s) - runs :]))


def _seconds(event: Mapping[str, object]) -> float:
    duration = event.get("dur")
    if not isinstance(duration, int | float):
        raise RunError(f"ONNX Runtime's trace has {duration!r} where a time belongs")
    return float(duration) * 1e-6


def _first_type(facts: Mapping[str, object]) -> str:
    inputs = facts.get("input_type_shape")
    if not isinstance(inputs, list) or not inputs:
        return "float32"
    name = next(iter(inputs[0]))
    return "float32" if name == "float" else str(name)
