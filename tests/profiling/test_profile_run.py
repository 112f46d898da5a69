"""What really ran, by the runtime's own account, on tiny artifacts of every kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.surgery import cut
from bertcompress.errors import RunError
from bertcompress.examples import TextExample
from bertcompress.graph.products import weight_products
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.passes.ranges import Ranges
from bertcompress.profiling.profile_run import profile_run
from bertcompress_calibration import calibrate_ranges

Graphs = Callable[..., OnnxModel]

TEXTS = tuple(TextExample(str(at), "the film is not bad" + " good" * at) for at in range(8))
MAKE: dict[str, Callable[[OnnxModel], OnnxModel]] = {
    "float": lambda model: model,
    "static": partial(
        QuantizeStatic(Ranges(samples=8)), context=Context(TEXTS, calibrate=calibrate_ranges)
    ),
    "dynamic": QuantizeDynamic(),
    "int4": QuantizeWeights(bits=4, block_size=16),
    "int8 weights": QuantizeWeights(bits=8),
}
EXPECTED = {
    "float": {"float32": 16},
    "static": {"uint8 x int8": 13, "float32": 3},
    "dynamic": {"uint8 x int8, dynamic": 13, "float32": 3},
    "int4": {"int8 x int4, block 16": 13, "float32": 3},
    "int8 weights": {"int8 x int8, block 32": 13, "float32": 3},
}


def feeds(count: int = 4) -> list[dict[str, np.ndarray]]:
    ids = np.random.default_rng(0).integers(5, 80, (1, 9))
    one = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": ids * 0}
    return [one] * count


@pytest.mark.parametrize("kind", MAKE)
def test_every_product_is_told_with_its_precision(
    kind: str, tiny_graph: Graphs, tmp_path: Path
) -> None:
    folder = save(MAKE[kind](tiny_graph()), tmp_path / "out")

    executed = profile_run(folder, "auto", feeds(), threads=1)

    assert executed.runtime == "ort-cpu"
    told = {node.module: node.precision for node in executed.nodes if node.precision is not None}
    assert Counter(told.values()) == EXPECTED[kind]
    attention = {node.module for node in executed.nodes if node.is_attention}
    assert set(told) - attention == {p.module for p in weight_products(tiny_graph().graph)}
    assert attention == {f"bert.encoder.layer.{layer}.attention.self" for layer in (0, 1)}


def test_what_pruning_left_is_told_and_what_it_emptied_is_not(
    tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    checkpoint = tiny_checkpoint()
    model = cut(checkpoint.model, heads=((0, 1, 3), ()), ffn=(tuple(range(37)), ()))
    graph = MAKE["static"](ExportOnnx()(replace(checkpoint, model=model)))

    executed = profile_run(save(graph, tmp_path / "out"), "ort-cpu", feeds(), threads=1)

    told = {node.module: node.precision for node in executed.nodes if node.precision is not None}
    first, attention = "bert.encoder.layer.0", "bert.encoder.layer.0.attention"
    inputs = {f"{attention}.self.{name}" for name in ("query", "key", "value")}
    integer = {
        *inputs,
        f"{attention}.output.dense",
        f"{first}.intermediate.dense",
        f"{first}.output.dense",
        "bert.pooler.dense",
    }
    assert {module for module, found in told.items() if found == "uint8 x int8"} == integer
    assert told.keys() - integer == {f"{attention}.self", "classifier"}


def test_operators_fit_into_their_runs(tiny_graph: Graphs, tmp_path: Path) -> None:
    folder = save(tiny_graph(), tmp_path / "out")

    executed = profile_run(folder, "ort-cpu", feeds(5), threads=1)

    assert len(executed.run_s) == len(executed.plain_s) == 5
    assert all(len(node.seconds) == 5 for node in executed.nodes)
    for run, whole in enumerate(executed.run_s):
        assert 0 < sum(node.seconds[run] for node in executed.nodes) <= whole


def test_a_checkpoint_has_no_operators_to_tell(
    tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    folder = save(tiny_checkpoint(), tmp_path / "out")
    for name in ("auto", "ort-cpu"):
        with pytest.raises(RunError, match="type: bertcompress export"):
            profile_run(folder, name, feeds(), threads=1)


@pytest.mark.parametrize("kind", ["float", "static", "int4"])
def test_openvino_tells_the_same_products(kind: str, tiny_graph: Graphs, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason='needs: pip install "bertcompress[openvino]"')
    folder = save(MAKE[kind](tiny_graph()), tmp_path / "out")

    executed = profile_run(folder, "openvino", feeds(), threads=1)

    told = {node.module: node.precision for node in executed.nodes if node.module is not None}
    products = {product.module for product in weight_products(tiny_graph().graph)}
    attention = {node.module for node in executed.nodes if node.is_attention}
    assert set(told) == products | attention
    assert attention == {f"bert.encoder.layer.{layer}.attention.self" for layer in (0, 1)}
    assert told["classifier"] == "float32"
    query = {"float": "float32", "static": "uint8 x int8", "int4": "float32 x uint4"}
    assert told["bert.encoder.layer.0.attention.self.query"] == query[kind]
    assert all(len(node.seconds) == 4 for node in executed.nodes)
