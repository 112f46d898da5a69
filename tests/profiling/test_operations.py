"""Operations and bytes, against numbers computed by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.errors import LoadError
from bertcompress.passes.prune.prune_units import PruneHeads
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.profiling.operations import Operations, operations_of
from bertcompress.profiling.operations_graph import graph_operations

# The tiny BERT: 2 layers of width 32 with 64 neurons; each product is 2 * in * out operations.
LAYERS = 2 * 2 * (4 * 32 * 32 + 2 * 32 * 64)
POOLER, CLASSIFIER = 2 * 32 * 32, 2 * 32 * 2
FIRST_TOKEN = 2 * (2 * 32 * 32 + 2 * 32 * 64)  # the last layer but its keys and values
WIDTH = 2 * (32 + 32)  # keys and values of both layers


def graph_of(
    nodes: list[onnx.NodeProto],
    weights: Mapping[str, NDArray[np.generic]],
    kind: int = TensorProto.FLOAT,
    shape: tuple[str | int, ...] = ("batch", "sequence", 8),
) -> onnx.ModelProto:
    return helper.make_model(
        helper.make_graph(
            nodes,
            "made",
            [helper.make_tensor_value_info("x", kind, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(values, name) for name, values in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)],
    )


def node(operator: str, inputs: str, output: str, **attributes: int | list[int]) -> onnx.NodeProto:
    domain = "com.microsoft" if operator in ("MatMulNBits", "QAttention") else ""
    made = helper.make_node(operator, inputs.split(), [output], domain=domain)
    made.attribute.extend(helper.make_attribute(*one) for one in attributes.items())
    return made


def test_the_graph_and_the_checkpoint_of_the_tiny_bert_cost_what_they_should(
    tiny_graph: Callable[..., OnnxModel], tiny_folder: Callable[..., Path]
) -> None:
    graph = graph_operations(tiny_graph().graph)
    checkpoint = operations_of(tiny_folder())

    assert checkpoint is not None
    for found in (graph, checkpoint):
        assert found.float_per_token == LAYERS
        assert found.float_per_sentence == POOLER + CLASSIFIER
        assert found.attention_width == WIDTH
        assert found.integer_per_token == found.integer_per_sentence == 0
        assert found.bytes_per_token == 3 * 32 * 4  # word, position, segment
    weights = (LAYERS + POOLER + CLASSIFIER) // 2 * 4
    assert weights < checkpoint.weight_bytes < weights * 1.1  # and the biases
    assert graph.weight_bytes == pytest.approx(checkpoint.weight_bytes, rel=0.05)


def test_heads_on_every_token_and_heads_without_pooling(
    tiny_graph: Callable[..., OnnxModel], tiny_folder: Callable[..., Path]
) -> None:
    task = "token-classification"

    found = graph_operations(tiny_graph(task=task).graph)
    checkpoint = operations_of(tiny_folder(task=task))

    assert found.float_per_token == LAYERS + 2 * 32 * 3
    assert found.float_per_sentence == 0
    assert checkpoint is not None
    assert checkpoint.float_per_token == found.float_per_token
    assert checkpoint.float_per_sentence == 0


def test_pruned_heads_cost_nothing(
    tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    pruned = PruneHeads(0.5)(tiny_checkpoint())
    save(pruned, tmp_path / "pruned")

    found = operations_of(tmp_path / "pruned")

    assert found is not None
    assert found.attention_width == WIDTH // 2
    assert found.float_per_token == LAYERS - 2 * 2 * (4 * 32 * 32) // 2


def test_dynamic_integers_are_told_from_floats(tiny_graph: Callable[..., OnnxModel]) -> None:
    found = graph_operations(QuantizeDynamic()(tiny_graph()).graph)

    assert (found.float_per_token, found.integer_per_token) == (0, LAYERS - FIRST_TOKEN)
    assert found.float_per_sentence == CLASSIFIER
    assert found.integer_per_sentence == POOLER + FIRST_TOKEN
    assert found.attention_width == WIDTH
    assert found.weight_bytes < (LAYERS + POOLER) // 2 * 1.6  # one byte a weight, and the scales


def test_weights_of_few_bits_are_counted_by_what_multiplies_them(
    tiny_graph: Callable[..., OnnxModel],
) -> None:
    found = graph_operations(QuantizeWeights()(tiny_graph()).graph)

    assert found.float_per_token == 0  # accuracy level 4: activations become INT8
    assert found.integer_per_token == LAYERS - FIRST_TOKEN
    assert found.attention_width == WIDTH


@pytest.mark.parametrize(("level", "is_integer"), [(4, True), (0, False)])
def test_the_accuracy_level_decides(level: int, is_integer: bool) -> None:
    packed: dict[str, NDArray[np.generic]] = {
        "w": np.zeros((16, 1, 4), np.uint8),
        "s": np.ones(16, np.float32),
    }
    product = node("MatMulNBits", "x w s", "y", K=8, N=16, bits=4, accuracy_level=level)

    found = graph_operations(graph_of([product], packed))

    assert found.integer_per_token == (256 if is_integer else 0)
    assert found.float_per_token == (0 if is_integer else 256)
    assert found.weight_bytes == 16 * 4 + 16 * 4


def test_a_product_between_dequantized_values_is_an_integer_one() -> None:
    constants: dict[str, NDArray[np.generic]] = {
        "w": np.zeros((8, 16), np.int8),
        "s": np.array(0.1, np.float32),
        "z": np.array(3, np.uint8),
    }
    weight = node("DequantizeLinear", "w s", "wd")
    both = [
        node("QuantizeLinear", "x s z", "xq"),
        node("DequantizeLinear", "xq s z", "xd"),
        weight,
        node("MatMul", "xd wd", "y"),
    ]
    weight_alone = [weight, node("MatMul", "x wd", "y")]

    assert graph_operations(graph_of(both, constants)).integer_per_token == 2 * 8 * 16
    assert graph_operations(graph_of(weight_alone, constants)).float_per_token == 2 * 8 * 16


def test_attention_in_single_products_and_transposed_weights() -> None:
    weights: dict[str, NDArray[np.generic]] = {
        "wk": np.zeros((8, 12), np.float32),
        "wv": np.zeros((8, 20), np.float32),
    }
    nodes = [
        node("MatMul", "x wk", "k"),
        node("MatMul", "x wv", "v"),
        node("Transpose", "k", "kt", perm=[0, 2, 1]),
        node("MatMul", "k kt", "scores"),
        node("Softmax", "scores", "shares"),
        node("MatMul", "shares v", "y"),
    ]
    gemm = [node("Gemm", "x w", "y", transB=1)]

    found = graph_operations(graph_of(nodes, weights))
    pooled = graph_operations(
        graph_of(gemm, {"w": np.zeros((3, 8), np.float32)}, shape=("batch", 8))
    )

    assert found.attention_width == 12 + 20
    assert found.float_per_token == 2 * 8 * 32
    assert pooled == Operations(float_per_sentence=2 * 8 * 3, weight_bytes=3 * 8 * 4)


def test_a_packed_attention_is_product_and_attention() -> None:
    stored: dict[str, NDArray[np.generic]] = {
        "w": np.zeros((8, 48), np.uint8),
        "b": np.zeros(48, np.float32),
    }
    packed = node("QAttention", "x w b", "y", num_heads=2)

    found = graph_operations(graph_of([packed], stored, TensorProto.UINT8))

    assert found.integer_per_token == 2 * 8 * 48
    assert found.attention_width == 32


def write_header(folder: Path, shapes: dict[str, list[int]]) -> None:
    """Writes a checkpoint of which only the headers are there: what the counting reads."""
    place, header = 0, {}
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [place, place + size]}
        place += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    config = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
    (folder / "config.json").write_text(json.dumps(config))


def encoder(layers: int, hidden: int, neurons: int) -> dict[str, list[int]]:
    shapes = {
        "bert.embeddings.word_embeddings.weight": [30522, hidden],
        "bert.pooler.dense.weight": [hidden, hidden],
        "classifier.weight": [2, hidden],
        "cls.predictions.transform.dense.weight": [hidden, hidden],
    }
    for k in range(layers):
        layer = f"bert.encoder.layer.{k}."
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            shapes[f"{layer}attention.{name}.weight"] = [hidden, hidden]
        shapes[f"{layer}intermediate.dense.weight"] = [neurons, hidden]
        shapes[f"{layer}output.dense.weight"] = [hidden, neurons]
    return shapes


@pytest.mark.parametrize(
    ("shape", "gigaflop"),
    [((6, 384, 1536), 2.87), ((12, 768, 3072), 22.35), ((24, 1024, 4096), 78.9)],
)
def test_published_models_cost_the_published_figures(
    shape: tuple[int, int, int], gigaflop: float, tmp_path: Path
) -> None:
    write_header(tmp_path, encoder(*shape))

    found = operations_of(tmp_path)

    assert found is not None
    work = found.work(sentences=1, length=128)
    assert work.operations / 1e9 == pytest.approx(gigaflop, abs=0.06)
    assert found.work(sentences=3, length=128).operations == 3 * work.operations


@pytest.mark.shared
def test_the_real_minilm_costs_it_too(shared: Path) -> None:
    found = operations_of(shared / "models" / "minilm-sst2")

    assert found is not None
    assert found.work(sentences=1, length=128).operations / 1e9 == pytest.approx(2.87, abs=0.005)


def test_bytes_are_weights_once_and_rows_for_each_position() -> None:
    found = Operations(float_per_token=10, attention_width=3, weight_bytes=1000, bytes_per_token=7)

    work = found.work(sentences=2, length=5)

    assert work.bytes == 1000 + 7 * 10
    assert work.float_operations == 10 * 10 + 2 * 2 * 25 * 3
    assert work.integer_operations == 0


def test_folders_that_do_not_tell_are_none(tmp_path: Path) -> None:
    assert operations_of(tmp_path) is None
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert operations_of(tmp_path) is None


def test_damaged_files_are_errors(tmp_path: Path) -> None:
    write_header(tmp_path, encoder(1, 8, 8))
    (tmp_path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")

    with pytest.raises(LoadError, match=r"model\.safetensors is damaged"):
        operations_of(tmp_path)
    graph = tmp_path / "graph" / "onnx" / "model.onnx"
    graph.parent.mkdir(parents=True)
    graph.write_bytes(b"no graph")
    with pytest.raises(LoadError, match=r"model\.onnx is damaged"):
        operations_of(tmp_path / "graph")
