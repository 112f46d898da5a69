"""Operations and bytes, against numbers computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.passes.prune.prune_units import PruneHeads
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.profiling.count_operations import operations_of
from bertcompress.profiling.operations_graph import graph_operations

# The tiny BERT: 2 layers of width 32 with 64 neurons; each product is 2 * in * out operations.
LAYERS = 2 * 2 * (4 * 32 * 32 + 2 * 32 * 64)
FIRST_TOKEN = 2 * (2 * 32 * 32 + 2 * 32 * 64)  # the last layer but its keys and values
POOLER, CLASSIFIER = 2 * 32 * 32, 2 * 32 * 2
WIDTH = 2 * (32 + 32)  # keys and values of both layers


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


def test_folders_that_do_not_tell_are_none(tmp_path: Path) -> None:
    assert operations_of(tmp_path) is None
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert operations_of(tmp_path) is None


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
