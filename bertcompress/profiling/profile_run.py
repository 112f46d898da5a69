"""Finds what a runtime really ran: each operator, its time, and what its products multiplied.

The runtime's own profiler tells: ONNX Runtime's trace beside the graph as it optimized it,
OpenVINO's counters beside the graph as it compiled it. Taking the time of each operator slows a
run down a little, so the same inputs are also run without, and both are kept.
Sources: ONNX Runtime documentation, "Performance profiling"; OpenVINO documentation, "Performance
counters" (``PERF_COUNT``) and ``CompiledModel.get_runtime_model``.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bertcompress.artifacts.graph_file import parse_graph
from bertcompress.errors import RunError, UsageError
from bertcompress.graph.run_products import module_names, run_products
from bertcompress.profiling.openvino_products import products_of
from bertcompress.profiling.ort_trace import read_trace
from bertcompress.profiling.profiled_run import ProfiledRun, RanNode, Seconds
from bertcompress.runtimes import runtime_for
from bertcompress.runtimes.base import Arrays, Runtime
from bertcompress.runtimes.catalog import ENTRIES, facts_of, graph_of
from bertcompress.runtimes.fitting import ModelFacts
from bertcompress.runtimes.openvino.runtime import OpenVinoRuntime
from bertcompress.runtimes.ort.runtime import Audit, OrtRuntime

TELLING = ("ort-cpu", "openvino", "openvino-bf16")
"""The runtimes whose operators can be told."""

_SETTLE = 3


def profile_run(folder: Path, name: str, feeds: Sequence[Arrays], *, threads: int) -> ProfiledRun:
    """Runs an artifact's graph under its runtime's profiler, and without.

    Args:
        folder: An artifact folder with a graph.
        name: A runtime that runs graphs, or ``auto``.
        feeds: Inputs, each run once; those that the graph does not take are left out.
        threads: Threads of a run.

    Raises:
        UsageError: If there is no such runtime, or it can't tell what it ran.
        RunError: If it can't run what the folder holds.
        MissingDependencyError: If its library is not installed.
    """
    chosen = runtime_for(folder, name)
    if chosen == "tensorrt":
        raise RunError(
            f"TensorRT told the layers of {folder} when it was built; type: bertcompress show "
            f"{folder}, or run its graph: --runtime ort-cpu"
        )
    if ENTRIES[chosen].runs != "onnx":
        raise RunError(
            f"{folder} holds no graph, whose operators could be told; "
            f"type: bertcompress export {folder}"
        )
    if chosen not in TELLING:
        raise UsageError(
            f"{chosen} does not tell what it ran; the runtimes that do are {', '.join(TELLING)}"
        )
    path, facts = graph_of(folder), facts_of(folder)
    if chosen == "ort-cpu":
        with OrtRuntime(path, threads=threads, facts=facts) as runtime:
            plain_s = _timed(runtime, feeds)
        return ProfiledRun(chosen, *_traced(path, feeds, threads, facts), plain_s)
    precision = chosen.partition("-")[2] or "f32"
    with OpenVinoRuntime(path, threads=threads, precision=precision, facts=facts) as plain:
        plain_s = _timed(plain, feeds)
    with OpenVinoRuntime(
        path, threads=threads, precision=precision, counted=True, facts=facts
    ) as counted:
        return ProfiledRun(chosen, *_counted(counted, path, feeds), plain_s)


def _traced(
    path: Path, feeds: Sequence[Arrays], threads: int, facts: ModelFacts | None
) -> tuple[tuple[RanNode, ...], Seconds]:
    """Runs a graph in ONNX Runtime with a trace; the first runs are not counted."""
    import onnx

    with tempfile.TemporaryDirectory(prefix="bertcompress-trace-") as folder:
        optimized, prefix = Path(folder) / "optimized.onnx", Path(folder) / "trace"
        audit = Audit(optimized, prefix)
        with OrtRuntime(path, threads=threads, audit=audit, facts=facts) as runtime:
            _timed(runtime, feeds)
            events = json.loads(runtime.end_trace().read_text(encoding="utf-8"))
        products = run_products(onnx.load_model(str(optimized)))
    trace = read_trace(events, runs=len(feeds))
    product_of = {node: product for product in products for node in product.nodes}
    nodes = []
    for node in trace.nodes:
        key = node.name, node.kind
        product = product_of.get(key)
        is_first = product is not None and key == product.nodes[0]
        nodes.append(
            RanNode(
                name=node.name,
                kind=node.kind,
                kernel=node.kind,
                module=product.module if product else None,
                precision=product.precision(node.given) if product and is_first else None,
                is_attention=product is not None and product.weight is None,
                seconds=node.seconds,
            )
        )
    return tuple(nodes), trace.run_s


def _counted(
    runtime: OpenVinoRuntime, path: Path, feeds: Sequence[Arrays]
) -> tuple[tuple[RanNode, ...], Seconds]:
    """Runs a graph in OpenVINO with counters; the first runs are not counted."""
    taken = _taken(runtime, feeds)
    for feed in taken[:_SETTLE]:
        runtime.run(feed)
    run_s: list[float] = []
    every: list[dict[str, float]] = []
    for feed in taken:
        run_s.append(_seconds(runtime, feed))
        every.append({operator.name: operator.seconds or 0.0 for operator in runtime.operators()})
    compiled = runtime.operators()
    modules = module_names(parse_graph(path))
    products = products_of(compiled, modules)
    nodes = []
    for node in compiled:
        seconds = tuple(times[node.name] for times in every)
        if any(seconds):
            module, precision, is_attention = products.get(node.name, (None, None, False))
            nodes.append(
                RanNode(
                    name=node.name,
                    kind=node.kind,
                    kernel=node.kernel,
                    module=module,
                    precision=precision,
                    is_attention=is_attention,
                    seconds=seconds,
                )
            )
    return tuple(nodes), tuple(run_s)


def _timed(runtime: Runtime, feeds: Sequence[Arrays]) -> Seconds:
    taken = _taken(runtime, feeds)
    for feed in taken[:_SETTLE]:
        runtime.run(feed)
    return tuple(_seconds(runtime, feed) for feed in taken)


def _taken(runtime: Runtime, feeds: Sequence[Arrays]) -> list[Arrays]:
    return [{name: feed[name] for name in runtime.input_names} for feed in feeds]


def _seconds(runtime: Runtime, feed: Arrays) -> float:
    started = time.perf_counter_ns()
    runtime.run(feed)
    return (time.perf_counter_ns() - started) * 1e-9
