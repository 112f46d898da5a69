"""Without padding: the same answers for real tokens, from every task, family and pruned shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import transformers

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import ExportError
from bertcompress.graph.edit import copy_of
from bertcompress.graph.half import emulated
from bertcompress.graph.tensorrt.pack_tokens import pack_tokens
from bertcompress.runtimes.ort.runtime import run_graph
from bertcompress.runtimes.tensorrt.feed import engine_feed

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)

Graphs = Callable[..., OnnxModel]
Arrays = dict[str, np.ndarray]
Answers = Callable[[onnx.ModelProto, Arrays], Arrays]


def feed_of(lengths: tuple[int, ...], *, width: int, left: bool = False) -> Arrays:
    """Returns texts of these lengths, padded to a width at the right, or at the left."""
    generator = np.random.default_rng(sum(lengths) + width)
    ids = np.zeros((len(lengths), width), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, length in enumerate(lengths):
        place = slice(width - length, width) if left else slice(0, length)
        ids[row, place] = generator.integers(5, 80, length)
        mask[row, place] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": mask * (ids % 2)}


FEEDS = (
    feed_of((7,), width=7),
    feed_of((3, 16, 9), width=16),
    feed_of((2, 2), width=40),
    feed_of((30, 16, 29, 31), width=31),  # more rows than one step
)


def differences(graph: onnx.ModelProto, feed: Arrays, answers: Answers) -> np.ndarray:
    """Returns how far the answers of real tokens are from those of the padded graph."""
    [expected] = run_graph(emulated(graph), [feed], as_written=True)
    got = answers(graph, feed)["logits"]
    assert got.shape == expected["logits"].shape
    real = feed["attention_mask"] == 1 if got.ndim == 3 else slice(None)
    found: np.ndarray = np.abs(got[real] - expected["logits"][real])
    return found


@pytest.mark.parametrize("feed", FEEDS, ids=["alone", "mixed", "mostly padding", "long row"])
@pytest.mark.parametrize("task", ["text-classification", "token-classification"])
def test_real_tokens_get_the_same_answers(
    task: str, feed: Arrays, tiny_graph: Graphs, packed_answers: Answers
) -> None:
    graph = tiny_graph(task=task).graph
    before = graph.SerializeToString()

    assert differences(graph, feed, packed_answers).max() < 1e-5
    assert graph.SerializeToString() == before


def test_tokens_that_are_padded_at_the_left(tiny_graph: Graphs, packed_answers: Answers) -> None:
    graph = tiny_graph(task="token-classification").graph
    feed = feed_of((3, 16, 9), width=16, left=True)

    assert differences(graph, feed, packed_answers).max() < 1e-5


def test_a_text_does_not_see_its_neighbours(tiny_graph: Graphs, packed_answers: Answers) -> None:
    graph = tiny_graph().graph
    feed = feed_of((5, 6, 7), width=8)
    other = {name: values.copy() for name, values in feed.items()}
    other["input_ids"][1:] = 7

    before, after = (packed_answers(graph, one)["logits"] for one in (feed, other))
    np.testing.assert_array_equal(before[0], after[0])
    assert np.abs(before[1:] - after[1:]).max() > 1e-3


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8", "fp8"])
def test_every_precision(
    precision: str, for_tensorrt: Callable[..., onnx.ModelProto], packed_answers: Answers
) -> None:
    graph = for_tensorrt(precision=precision)
    allowed = {"fp16": 5e-3, "bf16": 3e-2}.get(precision, 0.1)

    assert differences(graph, FEEDS[1], packed_answers).max() < allowed
    packed = pack_tokens(graph)
    kinds = {tensor.name: tensor.data_type for tensor in packed.graph.initializer}
    scales = {kinds[name] for name in kinds if name.endswith(".scale") and "attention" in name}
    assert scales == {16 if precision == "bf16" else 10}


def test_unequal_heads_and_an_emptied_layer(unequal: OnnxModel, packed_answers: Answers) -> None:
    assert differences(unequal.graph, FEEDS[1], packed_answers).max() < 1e-5
    heads = [node for node in pack_tokens(unequal.graph).graph.node if node.domain == "trt"]
    assert len(heads) == 1


def test_the_mask_goes_and_four_inputs_come(tiny_graph: Graphs) -> None:
    packed = pack_tokens(tiny_graph().graph)
    inputs = {value.name: value.type.tensor_type for value in packed.graph.input}

    assert list(inputs) == [
        *("input_ids", "token_type_ids"),
        *("packed_rows", "padded_rows", "query_lengths", "kv_lengths"),
    ]
    assert {kind.elem_type for name, kind in inputs.items() if not name.endswith("_ids")} == {6}
    [one, two] = [node for node in packed.graph.node if node.op_type == "TRT_Attention"]
    assert [*one.input[3:]] == [*two.input[3:]] == ["", "query_lengths", "kv_lengths"]
    assert {domain.domain for domain in packed.opset_import} == {"", "trt"}


def test_what_can_not_be_packed_is_refused(
    tiny_graph: Graphs, for_tensorrt: Callable[..., onnx.ModelProto]
) -> None:
    for graph in (for_tensorrt(attention=True), for_tensorrt(target="8.5")):
        with pytest.raises(ExportError, match=r"attention as an operator .* target 10\.14"):
            pack_tokens(graph)
    graph = copy_of(tiny_graph().graph)
    for node in graph.graph.node:
        if node.op_type == "Add" and node.input[1].endswith("output.dense.bias"):
            node.input[1] = "input_ids"  # joins tokens with what is of no token
            break
    with pytest.raises(ExportError, match="joins each token with input_ids"):
        pack_tokens(graph)


def test_rows_come_in_steps_and_never_beyond_the_batch() -> None:
    names = ["input_ids", "packed_rows", "padded_rows", "query_lengths", "kv_lengths"]
    for lengths, width, rows in (((7,), 7, 7), ((60, 10), 60, 120), ((60, 3), 60, 64)):
        feed = feed_of(lengths, width=width)
        given = engine_feed(feed, names)
        assert set(given) == set(names)
        assert given["packed_rows"].shape == (rows,)
        tokens = feed["input_ids"].ravel()[given["packed_rows"]][: sum(lengths)]
        np.testing.assert_array_equal(tokens, feed["input_ids"][feed["attention_mask"] == 1])
        np.testing.assert_array_equal(given["query_lengths"], [0, *np.cumsum(lengths)])
        back = tokens[given["padded_rows"]][feed["attention_mask"] == 1]
        np.testing.assert_array_equal(back, tokens)
