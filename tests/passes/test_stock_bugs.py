"""What goes wrong in graphs that stock quantizers make, and does not in this project's artifacts.

Each test is a trap that was met with ONNX Runtime 1.31 and Transformers 5. Where the stock tool can
be run on the tiny graph in a moment, the test runs it too: it shows the trap, then ours beside it.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph
from onnxruntime.quantization import QuantType, quantize_dynamic

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.surgery import cut
from bertcompress.errors import RunError
from bertcompress.graph.products import weight_products
from bertcompress.graph.run_products import run_products
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.runtimes.ort.runtime import optimized_graph, run_graph
from bertcompress.runtimes.torch.runtime import TorchRuntime

Graphs = Callable[..., OnnxModel]
Checkpoints = Callable[..., Checkpoint]
Quantize = Callable[[OnnxModel], OnnxModel]

NAMES = ("static", "dynamic", "int4", "int8 weights")
WEIGHT_PRODUCTS, LAYERS = 14, 2


@pytest.fixture(params=NAMES)
def quantize(request: pytest.FixtureRequest, wide: Context) -> Quantize:
    """Each of our ways to quantize."""
    made: dict[str, Quantize] = {
        "static": partial(QuantizeStatic(), context=wide),
        "dynamic": QuantizeDynamic(),
        "int4": QuantizeWeights(bits=4),
        "int8 weights": QuantizeWeights(bits=8),
    }
    return made[request.param]


def copy_of(model: OnnxModel) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model.graph)
    return copy


@contextlib.contextmanager
def without_advice() -> Iterator[None]:
    """Keeps ONNX Runtime's quantizers from talking, and from setting up logging for the process.

    They log general advice at the root, which gives the root logger a handler if it has none.
    """
    root = logging.getLogger()
    disabled, level, handlers = root.manager.disable, root.level, list(root.handlers)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)
        root.handlers[:] = handlers


def stock_dynamic(graph: onnx.ModelProto, path: Path, **settings: object) -> onnx.ModelProto:
    with without_advice():
        quantize_dynamic(graph, path, weight_type=QuantType.QInt8, **settings)
    return onnx.load_model(str(path))


def feed() -> dict[str, np.ndarray]:
    ids = np.random.default_rng(0).integers(5, 80, (2, 12))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": ids * 0}


def test_value_info_of_initializers_breaks_the_stock_quantizers_and_is_not_there(
    tiny_graph: Graphs, tmp_path: Path
) -> None:
    ours = copy_of(tiny_graph())
    weights = {tensor.name: tensor for tensor in ours.graph.initializer}
    assert weights.keys().isdisjoint(value.name for value in ours.graph.value_info)
    stock_dynamic(ours, tmp_path / "works.onnx", op_types_to_quantize=["MatMul"])

    theirs = copy_of(tiny_graph())
    weight = weights["classifier.weight_t"]
    wrong = helper.make_tensor_value_info(weight.name, weight.data_type, [*weight.dims][::-1])
    theirs.graph.value_info.append(wrong)
    with pytest.raises(Exception, match="ShapeInferenceError"):
        stock_dynamic(theirs, tmp_path / "fails.onnx", op_types_to_quantize=["MatMul"])


def test_the_standard_attention_is_not_rewritten_to_another_domain_s(
    tiny_graph: Graphs, quantize: Quantize
) -> None:
    result = quantize(tiny_graph())

    attention = [node for node in result.graph.graph.node if "Attention" in node.op_type]
    assert [(node.op_type, node.domain) for node in attention] == [("Attention", "")] * LAYERS
    optimized = optimized_graph(result.graph)
    assert Counter(node.op_type for node in optimized.graph.node)["Attention"] == LAYERS


def test_stock_dynamic_by_default_does_rewrite_it(tiny_graph: Graphs, tmp_path: Path) -> None:
    theirs = stock_dynamic(copy_of(tiny_graph()), tmp_path / "theirs.onnx")

    assert any(node.op_type == "QAttention" for node in theirs.graph.node)
    with pytest.raises((RunError, InvalidGraph)):
        run_graph(theirs, [feed()])


def test_static_is_not_silently_weights_only(tiny_graph: Graphs, wide: Context) -> None:
    result = QuantizeStatic()(tiny_graph(), wide)

    products = run_products(optimized_graph(result.graph))
    kernels = Counter(one.kernel for one in products if one.weight == "int8")
    assert kernels == {"MatMulIntegerToFloat": 13}
    assert not any(one.kernel == "MatMulNBits" for one in products)


def test_signed_activations_leave_products_in_float_and_ours_are_unsigned(
    tiny_graph: Graphs, wide: Context
) -> None:
    result = QuantizeStatic(portable=True)(tiny_graph(), wide)
    points = [one for one in result.graph.graph.initializer if one.name.endswith(".zero_point")]
    activations = [one for one in points if not one.dims]
    assert {one.data_type for one in activations} == {onnx.TensorProto.UINT8}
    assert len(activations) == 4 * LAYERS + 2  # the last query's one token, and the pooler's

    signed = copy_of(result)
    for tensor in signed.graph.initializer:
        if tensor.name.endswith(".zero_point") and not tensor.dims:
            shifted = numpy_helper.to_array(tensor).astype(np.int16) - 128
            tensor.CopyFrom(numpy_helper.from_array(shifted.astype(np.int8), tensor.name))
    theirs = run_products(optimized_graph(signed))
    left = [one.module for one in theirs if one.weight == "float32"]
    assert len(left) > 1  # more than the classifier

    ours = run_products(optimized_graph(result.graph))
    assert [one.module for one in ours if one.weight == "float32"] == ["classifier"]


def test_products_of_two_activations_are_not_quantized(
    tiny_graph: Graphs, quantize: Quantize
) -> None:
    """Stock Q/DQ ignores MatMulConstBOnly and quantizes those too."""
    result = quantize(tiny_graph())

    products = run_products(optimized_graph(result.graph))
    assert len(products) == WEIGHT_PRODUCTS + LAYERS
    without = [one for one in products if one.weight is None]
    assert [one.kernel for one in without] == ["Attention"] * LAYERS
    optimized = optimized_graph(result.graph).graph.node
    makers = {name: node.op_type for node in optimized for name in node.output}
    given = {
        makers[name] for node in optimized if node.op_type == "Attention" for name in node.input
    }
    assert given.isdisjoint({"DequantizeLinear", "QuantizeLinear"})


def test_no_fusion_is_lost_and_nothing_else_is_quantized(
    tiny_graph: Graphs, quantize: Quantize
) -> None:
    """Stock static by default quantizes LayerNorm, Softmax and Add, and no fusion fires."""
    counts = Counter(
        node.op_type for node in optimized_graph(quantize(tiny_graph()).graph).graph.node
    )

    assert counts["LayerNormalization"] == 2 * LAYERS + 1  # whole, and not in the slow fused form
    assert counts["BiasGelu"] + counts["Gelu"] == LAYERS
    assert not [name for name in counts if name.startswith("QLinear")]
    assert "Erf" not in counts


@pytest.fixture(scope="module")
def pruned(tiny_checkpoint: Checkpoints) -> Checkpoint:
    """Three heads of four in the first layer, one in the second."""
    checkpoint = tiny_checkpoint()
    ffn = tuple(range(37)), tuple(range(64))
    return replace(checkpoint, model=cut(checkpoint.model, heads=((0, 1, 3), (2,)), ffn=ffn))


@pytest.fixture(scope="module")
def pruned_graph(pruned: Checkpoint) -> OnnxModel:
    return ExportOnnx()(pruned)


def test_each_layer_keeps_its_own_number_of_heads(
    pruned: Checkpoint, pruned_graph: OnnxModel, quantize: Quantize
) -> None:
    """Stock fusion stamps the model's one number on all layers: wrong answers, no warning."""
    result = quantize(pruned_graph)

    found = []
    for node in optimized_graph(result.graph).graph.node:
        if node.op_type == "Attention":
            facts = {one.name: one.i for one in node.attribute}
            found.append((facts["q_num_heads"], facts["kv_num_heads"]))
    assert found == [(3, 3), (1, 1)]
    with TorchRuntime(pruned.model, threads=1) as torch_runtime:
        expected = torch_runtime.run(feed())["logits"]
    (exact,), (near,) = run_graph(pruned_graph.graph, [feed()]), run_graph(result.graph, [feed()])
    np.testing.assert_allclose(exact["logits"], expected, atol=1e-4)
    assert np.abs(near["logits"] - expected).max() < 0.6 * np.abs(expected).max()


def test_the_embedding_tables_are_quantized_too(tiny_graph: Graphs, quantize: Quantize) -> None:
    """Half of a small encoder's weights are there."""
    tables = {
        tensor.name: tensor.data_type
        for tensor in quantize(tiny_graph()).graph.graph.initializer
        if "word_embeddings" in tensor.name and len(tensor.dims) >= 2 and tensor.dims[1] > 1
    }
    assert tables
    assert onnx.TensorProto.FLOAT not in {
        kind for name, kind in tables.items() if "scale" not in name
    }


def test_a_graph_is_one_file(tiny_graph: Graphs, quantize: Quantize, tmp_path: Path) -> None:
    """Weights in other files are what NNCF and ONNX Runtime's quantizers trip over."""
    folder = save(quantize(tiny_graph()), tmp_path / "out")

    assert [path.name for path in (folder / "onnx").iterdir()] == ["model.onnx"]
    assert weight_products(
        onnx.load_model(str(folder / "onnx" / "model.onnx"), load_external_data=False)
    )
