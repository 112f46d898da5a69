"""OpenVINO on the CPU: reads the same ONNX file that ONNX Runtime does.

Nothing is left to its own choice. It would compute an FP32 graph in BF16 wherever the CPU has
that, so the precision is always said; it would pin threads to cores that other processes may be
using, so placing them stays with the system; it would take inputs of another type, and for one
that is missing the one of the run before, so they are checked before. (A token id beyond the
vocabulary is not: OpenVINO reads zeros for it, where ONNX Runtime fails.)

Its *streams* share one copy of the weights (`another`), unlike runtimes opened several times.
A graph whose integer products it would all compute in float is refused: it has no kernels for
products quantized while they run (``MatMulInteger``), and no faster answers from them.
Source: OpenVINO documentation, "CPU Device" and "High-level Performance Hints".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.graph_file import parse_graph
from bertcompress.errors import (
    MissingDependencyError,
    MissingHardwareError,
    RunError,
    UsageError,
    did_you_mean,
)
from bertcompress.graph.kernels import INTEGER_KERNELS
from bertcompress.quiet import without_telemetry
from bertcompress.runtimes.base import Arrays, CheckedRuntime, TensorSpec
from bertcompress.runtimes.fitting import ModelFacts

PRECISIONS = ("f32", "bf16")
"""What float operators compute in; an integer product stays one in both."""

_PRODUCTS = ("FullyConnected", "MatMul")


def import_openvino(purpose: str) -> ModuleType:
    """Imports the library, or fails with the sentence that says how to install it."""
    try:
        with without_telemetry():
            import openvino
    except ImportError as error:
        raise MissingDependencyError("openvino", "openvino", purpose) from error
    return cast("ModuleType", openvino)


@dataclass(frozen=True)
class RanOperator:
    """One operator of a compiled graph.

    Attributes:
        name: As OpenVINO calls it; mostly the name of a node of the ONNX graph.
        kind: What it does, ``FullyConnected``.
        kernel: The code that does it, ``brgemm_avx512_I8``.
        stands_for: The operators of the given graph that it does.
        inputs: The operators that its inputs come from, each with its element type.
        seconds: Of the last run; None for one that does not run, a constant.
    """

    name: str
    kind: str
    kernel: str
    stands_for: tuple[str, ...]
    inputs: tuple[tuple[str, str], ...]
    seconds: float | None


class OpenVinoRuntime(CheckedRuntime):
    """Runs one graph on the CPU.

    Args:
        model: The graph's file: ONNX, or OpenVINO's own ``.xml``.
        threads: Threads of one run.
        streams: Runs at a time that the compiled graph is made for; see `another`.
        precision: What float operators compute in, one of `PRECISIONS`.
        counted: Whether each operator is timed, see `operators`.
        longest: Tokens that the model has positions for; None if nobody says.
        facts: What is known of the model whose graph it is, see `bertcompress.runtimes.fitting`.

    Raises:
        UsageError: If there is no such precision, or streams is below 1.
    """

    library = "OpenVINO"
    one_shape = True

    def __init__(
        self,
        model: Path,
        *,
        threads: int,
        streams: int = 1,
        precision: str = "f32",
        counted: bool = False,
        longest: int | None = None,
        facts: ModelFacts | None = None,
    ) -> None:
        super().__init__(facts)
        if precision not in PRECISIONS:
            raise UsageError(
                f"precision must be {' or '.join(PRECISIONS)}, got {precision!r}"
                + did_you_mean(precision, PRECISIONS)
            )
        if streams < 1:
            raise UsageError(f"streams must be 1 or more, got {streams}")
        self._model = model
        self._threads = threads
        self._streams = streams
        self._precision = precision
        self._counted = counted
        self._compiled: Any = None
        self._request: Any = None
        self.longest = longest
        self.name = "openvino" if precision == "f32" else f"openvino-{precision}"

    def __enter__(self) -> Self:
        if self._compiled is None:
            self._compiled = self._compile()
        self._request = self._compiled.create_infer_request()
        self._open_for(
            (_spec(port) for port in self._compiled.inputs),
            (_name_of(port) for port in self._compiled.outputs),
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
        self._request = None
        self._compiled = None

    def another(self) -> OpenVinoRuntime:
        """Returns a further stream of the opened graph, not entered yet: the weights are shared.

        Raises:
            RunError: If this one was not entered.
        """
        self._check_open()
        twin = OpenVinoRuntime(
            self._model,
            threads=self._threads,
            streams=self._streams,
            precision=self._precision,
            longest=self.longest,
            facts=self._model_facts,
        )
        twin._compiled = self._compiled
        return twin

    def _run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        try:
            found = self._request.infer(dict(feed))
        except RuntimeError as error:
            raise RunError(f"OpenVINO refused the inputs: {_last_line(error)}") from error
        return {name: np.array(found[at]) for at, name in enumerate(self._output_names)}

    def kernels(self) -> dict[str, int]:
        """Returns how many matrix products ran in which kernel, as OpenVINO names it.

        Raises:
            RunError: If the runtime was not entered.
        """
        self._check_open()
        return _kernels_of(self._compiled)

    def operators(self) -> list[RanOperator]:
        """Returns the operators of the compiled graph, in its order, as the last run timed them.

        Raises:
            RunError: If the runtime was not entered.
        """
        self._check_open()
        timed = self._request.profiling_info
        seconds = {one.node_name: one.real_time.total_seconds() for one in timed}
        return [
            _ran(node, seconds) for node in self._compiled.get_runtime_model().get_ordered_ops()
        ]

    def _compile(self) -> Any:
        openvino = import_openvino("running a graph in OpenVINO")
        if not self._model.is_file():
            raise RunError(f"there is no graph {self._model}")
        core = openvino.Core()
        able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if self._precision == "bf16" and "BF16" not in able:
            raise MissingHardwareError(
                "this CPU has no instructions for BF16; leave the precision at f32"
            )
        settings = {
            "INFERENCE_PRECISION_HINT": self._precision,
            "PERFORMANCE_HINT": "LATENCY" if self._streams == 1 else "THROUGHPUT",
            "NUM_STREAMS": str(self._streams),
            "INFERENCE_NUM_THREADS": self._streams * self._threads,
            "ENABLE_CPU_PINNING": False,
            "CACHE_DIR": "",
            "PERF_COUNT": self._counted,
        }
        try:
            graph = core.read_model(self._model)
            compiled = core.compile_model(graph, "CPU", settings)
        except RuntimeError as error:
            raise RunError(f"OpenVINO can't load {self._model}: {_last_line(error)}") from error
        integer = _integer_products(graph) or _integer_operators(self._model)
        if integer and not any("i8" in kernel.lower() for kernel in _kernels_of(compiled)):
            raise RunError(
                f"OpenVINO computes all {integer} integer products of {self._model} in float; "
                "give it static INT8 (bertcompress quantize --method static), or run this "
                "one in ort-cpu"
            )
        return compiled


def _spec(port: Any) -> TensorSpec:
    shape = port.get_partial_shape()
    axes = (dim.get_length() if dim.is_static else None for dim in shape)
    known = tuple(axes) if shape.rank.is_static else ()
    return TensorSpec(_name_of(port), port.get_element_type().to_dtype().name, known)


def _name_of(port: Any) -> str:
    """Returns the graph's name of an input or an output.

    Where OpenVINO takes out an operator that does nothing, such as a cast to the same type, the
    port keeps the names on both sides of it; those of operators are paths.
    """
    names: set[str] = port.get_names()
    return min(names, key=lambda name: ("/" in name, len(name), name))


def _integer_products(graph: Any) -> int:
    """Counts products that are quantized with their activations: fake-quantized or in integers."""
    count = 0
    for node in graph.get_ops():
        if node.get_type_name() != "MatMul":
            continue
        source = node.input_value(0).get_node()
        integer = node.get_input_element_type(0).is_integral_number()
        count += integer or source.get_type_name() == "FakeQuantize"
    return count


def _integer_operators(path: Path) -> int:
    """Counts ONNX Runtime's own integer products, which OpenVINO spells out as it reads them."""
    nodes = parse_graph(path).graph.node
    return sum(node.op_type in INTEGER_KERNELS for node in nodes)


def _kernels_of(compiled: Any) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for node in compiled.get_runtime_model().get_ops():
        facts = node.get_rt_info()
        if facts["layerType"].astype(str) in _PRODUCTS:
            counts[facts["primitiveType"].astype(str)] += 1
    return dict(counts)


def _ran(node: Any, seconds: Mapping[str, float]) -> RanOperator:
    facts, name = node.get_rt_info(), node.get_friendly_name()
    inputs = (
        (value.get_node().get_friendly_name(), value.get_element_type().get_type_name())
        for value in node.input_values()
    )
    return RanOperator(
        name=name,
        kind=facts["layerType"].astype(str),
        kernel=facts["primitiveType"].astype(str),
        stands_for=tuple(facts["originalLayersNames"].astype(str).split(",")),
        inputs=tuple(inputs),
        seconds=seconds.get(name),
    )


def _last_line(error: Exception) -> str:
    """Returns the line that says what went wrong: those before it name source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
