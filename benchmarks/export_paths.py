"""Which export runs fastest in ONNX Runtime: the measurement behind docs/adr/0003-export-path.md.

Exports one checkpoint in four ways, float and dynamic INT8 of each, and times all of them
interleaved on real texts, one at a time, and on 128 tokens:

    python benchmarks/export_paths.py MODEL DATA --out benchmarks/reports/export-paths

Writes OUT.json (raw samples) and OUT.md. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from bertcompress.artifacts.artifact import Checkpoint, library_versions
from bertcompress.artifacts.model_config import INPUT_NAMES
from bertcompress.bench.peers.make import fuse as fuse_graph
from bertcompress.bench.peers.make import stock_export
from bertcompress.bert.loading.load import load
from bertcompress.data import load_dataset
from bertcompress.machine.environment import read_environment
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.runtimes.ort.runtime import OrtRuntime, optimized_graph
from bertcompress.tasks import make_task, pad

ROUNDS, TEXTS = 12, 40
Graph = onnx.ModelProto


def dynamo(opset: int) -> Callable[[Checkpoint], Graph]:
    """Our own export, at an opset with or without the Attention operator."""
    return lambda checkpoint: ExportOnnx(opset=opset)(checkpoint).graph


def torchscript(attention: str, *, fuse: bool) -> Callable[[Checkpoint], Graph]:
    """The legacy exporter, with ONNX Runtime's transformer optimizer or without."""

    def export(checkpoint: Checkpoint) -> Graph:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            stock_export(checkpoint, path, attention=attention)
            if fuse:
                fuse_graph(path, checkpoint)
            return onnx.load_model(str(path))

    return export


PATHS: dict[str, Callable[[Checkpoint], Graph]] = {
    "dynamo, SDPA, opset 23": dynamo(23),
    "dynamo, SDPA, opset 18": dynamo(18),
    "TorchScript, SDPA, opset 17": torchscript("sdpa", fuse=False),
    "TorchScript, eager, opset 17, fused by the optimizer": torchscript("eager", fuse=True),
}


def dynamic_int8(graph: Graph) -> Graph:
    """The same stock quantizer for all, so that only the export differs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    fused = any(node.op_type == "Attention" and node.domain for node in graph.graph.node)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            graph,
            path,
            op_types_to_quantize=["MatMul", "Attention"] if fused else ["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        return onnx.load_model(str(path))


def main() -> None:
    """Exports, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    graphs: dict[str, Graph] = {}
    for name, export in PATHS.items():
        checkpoint = load(arguments.model)
        assert isinstance(checkpoint, Checkpoint)
        graphs[name] = export(checkpoint)
        graphs[f"{name}, INT8"] = dynamic_int8(graphs[name])
    checkpoint = load(arguments.model)
    assert isinstance(checkpoint, Checkpoint)
    task = make_task(checkpoint.task, checkpoint.config)
    data = load_dataset(
        arguments.data, task=task.name, limit=TEXTS, label_kind=task.label_kind, split="test"
    )
    features = task.encode(checkpoint.tokenizer, data.examples, max_length=128)
    feeds = [pad([feature], pad_token_id=0) for feature in features]
    long = {name: np.ones((1, 128), dtype=np.int64) for name in INPUT_NAMES}
    samples = measure(graphs, {"texts": feeds, "128 tokens": [long] * 10}, arguments.threads)
    write(arguments.out, graphs, samples, threads=arguments.threads)


def measure(
    graphs: dict[str, Graph], workloads: dict[str, list[Any]], threads: int
) -> dict[str, dict[str, list[float]]]:
    """Times every graph on every workload, the graphs taking turns in each round."""
    runtimes = {
        name: OrtRuntime(graph.SerializeToString(), threads=threads).__enter__()
        for name, graph in graphs.items()
    }
    samples: dict[str, dict[str, list[float]]] = {
        name: {work: [] for work in workloads} for name in graphs
    }
    for number in range(ROUNDS + 2):
        for work, feeds in workloads.items():
            for name, runtime in runtimes.items():
                for feed in feeds:
                    taken = {key: feed[key] for key in runtime.input_names}
                    started = time.perf_counter_ns()
                    runtime.run(taken)
                    if number >= 2:  # two rounds of warm-up
                        samples[name][work].append((time.perf_counter_ns() - started) * 1e-9)
    return samples


def write(
    out: Path, graphs: dict[str, Graph], samples: dict[str, dict[str, list[float]]], *, threads: int
) -> None:
    """Writes the raw samples and the table."""
    machine = read_environment(threads=threads, thread_variables={})
    versions = library_versions("torch", "transformers", "onnx", "onnxruntime")
    rows = []
    for name, graph in graphs.items():
        counts = Counter(node.op_type for node in optimized_graph(graph).graph.node)
        attention = counts["Attention"] + counts["QAttention"]
        skip = counts["SkipLayerNormalization"]
        medians = [1e3 * float(np.median(values)) for values in samples[name].values()]
        rows.append(
            f"| {name} | {medians[0]:.2f} | {medians[1]:.2f} | {attention} | {skip} "
            f"| {sum(counts.values())} |"
        )
    text = [
        f"{machine.cpu_model}, {threads} threads; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f"; medians over {ROUNDS} interleaved rounds of {TEXTS} texts.",
        "",
        "| export | ms, a text | ms, 128 tokens | Attention | SkipLayerNorm | operators |",
        "|---|---:|---:|---:|---:|---:|",
        *rows,
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".md").write_text("\n".join(text) + "\n", encoding="utf-8")
    plain = {"threads": threads, "versions": versions, "seconds": samples}
    out.with_suffix(".json").write_text(json.dumps(plain) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
