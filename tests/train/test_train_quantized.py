"""Training for quantization: it helps what is shipped, carries its ranges, goes on when stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.artifacts.manifest import RANGES_NAME
from bertcompress.bert.loading.load import load
from bertcompress.bert.surgery import cut
from bertcompress.codec import from_plain
from bertcompress.errors import CalibrationError, UsageError
from bertcompress.examples import Example, TextExample
from bertcompress.graph.fingerprint import weights_fingerprint
from bertcompress.graph.products import weight_products
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.trained_ranges import trained_ranges
from bertcompress.passes.ranges import TRAINED, Ranges
from bertcompress.passes.samples import batches_for
from bertcompress.runtimes.ort.runtime import run_graph
from bertcompress.train.train_quantized import QuantizedTrainingDetails, TrainQuantized

pytest.importorskip("accelerate")

Checkpoints = Callable[..., Checkpoint]
QUERY = "bert.encoder.layer.0.attention.self.query"
ENDS = (-2.0, 2.0)
"""Narrower than what the tiny model's LayerNorms put out."""

_WORDS = ("the film is good", "a bad film", "not good", "the film is not bad", "who is in a film")
TEXTS: tuple[Example, ...] = tuple(
    TextExample(str(at), _WORDS[at % 5] + " film" * (at % 3)) for at in range(40)
)


class StoppedError(Exception):
    """Stands for an interruption."""


def narrow_ranges(
    model: OnnxModel, ranges: Ranges, context: Context, *, seed: int, attention: bool = False
) -> CalibrationTable:
    del ranges, context, seed, attention
    none = np.zeros(0, dtype=np.int64)
    ends = {
        product.module: TensorRange(product.tensor, *ENDS, *ENDS, 1, none)
        for product in weight_products(model.graph)
    }
    return CalibrationTable(ends, "minmax", ("0",), 0, "data", weights_fingerprint(model.graph))


def quick(teacher: str, **changed: Any) -> TrainQuantized:
    """Returns the pass with settings for a tiny model."""
    settings = {"epochs": 3, "batch_size": 8, "learning_rate": 1e-3, **changed}
    return TrainQuantized(teacher, **settings)


CONTEXT = Context(TEXTS, calibrate=narrow_ranges)
shipped = QuantizeStatic(Ranges(TRAINED))


@dataclass(frozen=True)
class Made:
    """A tiny model trained for 8 bits."""

    teacher: str
    checkpoint: Checkpoint
    graph: OnnxModel


@pytest.fixture(scope="module")
def made(tiny_checkpoint: Checkpoints, tmp_path_factory: pytest.TempPathFactory) -> Made:
    teacher = str(save(tiny_checkpoint(), tmp_path_factory.mktemp("made") / "teacher"))
    checkpoint = quick(teacher)(tiny_checkpoint(), CONTEXT)
    return Made(teacher, checkpoint, ExportOnnx()(checkpoint))


def told(checkpoint: Checkpoint) -> QuantizedTrainingDetails:
    return from_plain(QuantizedTrainingDetails, checkpoint.history[-1].details)


def losses_of(checkpoint: Checkpoint) -> list[float]:
    epochs = told(checkpoint).epochs
    assert [epoch.epoch for epoch in epochs] == list(range(len(epochs)))
    return [epoch.validation_loss for epoch in epochs]


def error_of(graph: OnnxModel, original: Checkpoint) -> float:
    """Returns the mean squared error of a graph's logits."""
    [batch] = batches_for(original, TEXTS, samples=40, batch_size=40, max_length=None, seed=0)
    [found] = run_graph(graph.graph, [{name: one.numpy() for name, one in batch.inputs.items()}])
    with torch.no_grad():
        wanted = original.model(**batch.inputs).logits.numpy()
    return float(np.square(found["logits"] - wanted).mean())


def same_weights(one: Checkpoint, other: Checkpoint) -> bool:
    first, second = one.model.state_dict(), other.model.state_dict()
    return all(torch.equal(values, second[name]) for name, values in first.items())


def test_the_shipped_graph_answers_nearer_to_the_original(
    made: Made, tiny_checkpoint: Checkpoints, tiny_graph: Callable[..., OnnxModel]
) -> None:
    before, after = QuantizeStatic()(tiny_graph(), CONTEXT), shipped(made.graph)

    assert error_of(after, tiny_checkpoint()) < 0.7 * error_of(before, tiny_checkpoint())
    losses = losses_of(made.checkpoint)
    assert min(losses) < 0.7 * losses[0]


def test_saved_and_loaded_it_carries_the_ranges_into_the_graph(made: Made, tmp_path: Path) -> None:
    checkpoint = load(save(made.checkpoint, tmp_path / "checkpoint"))
    graph = load(save(made.graph, tmp_path / "graph"))
    assert isinstance(graph, OnnxModel)

    table, result = trained_ranges(graph), shipped(graph)

    assert checkpoint.side_files == graph.side_files == made.checkpoint.side_files
    ends = json.loads(made.checkpoint.side_files[RANGES_NAME])["ranges"][QUERY]
    found = table.range_of(QUERY)
    assert [found.low, found.high] == ends != list(ENDS)
    assert found == table.range_of(QUERY.replace("query", "key"))
    assert result.graph.SerializeToString() == shipped(made.graph).graph.SerializeToString()
    assert result.history[-1].details["calibration"] == {
        "method": "trained",
        "samples": 1,
        "seed": 0,
        "data": "data",
        "split": None,
    }


def test_ranges_of_other_weights_are_refused(
    made: Made, tiny_graph: Callable[..., OnnxModel]
) -> None:
    def of(graph: OnnxModel, content: bytes) -> OnnxModel:
        return shipped(replace(graph, side_files={RANGES_NAME: content}))

    with pytest.raises(CalibrationError, match="was changed after its ranges were trained"):
        of(tiny_graph(), made.checkpoint.side_files[RANGES_NAME])
    with pytest.raises(CalibrationError, match=r"trained_ranges\.json is damaged"):
        of(made.graph, b"{")
    with pytest.raises(CalibrationError, match="has format 2, this bertcompress reads up to 1"):
        of(made.graph, b'{"format": 2}')
    with pytest.raises(CalibrationError, match="carries no trained ranges"):
        shipped(tiny_graph())


@pytest.mark.slow
def test_interrupted_it_goes_on_and_ends_the_same(
    made: Made, tiny_checkpoint: Checkpoints, tmp_path: Path
) -> None:
    train, kept = quick(made.teacher), CONTEXT.changed(state=tmp_path / "state")

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "train quantized" and done == 7:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(tiny_checkpoint(), kept.changed(progress=stop))
    result = train(tiny_checkpoint(), kept)

    assert same_weights(result, made.checkpoint)
    assert result.side_files == made.checkpoint.side_files
    assert result.history[-1].details == made.checkpoint.history[-1].details


@pytest.mark.parametrize("dropout", [False, True])
def test_blocks_of_4_bits_are_trained_on_what_pruning_leaves(
    dropout: bool, made: Made, tiny_checkpoint: Checkpoints
) -> None:
    original = tiny_checkpoint()
    model = cut(original.model, heads=((), (0, 2, 3)), ffn=(tuple(range(37)), ()))

    train = quick(made.teacher, bits=4, dropout=dropout)
    result = train(replace(original, model=model), Context(TEXTS))

    losses = losses_of(result)
    assert min(losses) < 0.8 * losses[0]
    assert result.config.layer_heads == [0, 3]
    assert [one.p for one in result.model.modules() if isinstance(one, torch.nn.Dropout)] == [
        one.p for one in model.modules() if isinstance(one, torch.nn.Dropout)
    ]
    assert RANGES_NAME not in result.side_files


def test_training_that_does_not_help_is_not_kept(made: Made, tiny_checkpoint: Checkpoints) -> None:
    train = quick(made.teacher, bits=4, learning_rate=0.5, epochs=1)

    result = train(tiny_checkpoint(), Context(TEXTS))

    assert same_weights(result, tiny_checkpoint())
    assert "before training" in str(told(result).kept)


def test_what_can_not_be_meant_is_refused(made: Made, tiny_checkpoint: Checkpoints) -> None:
    with pytest.raises(UsageError, match="bits must be 4 or 8, got 3"):
        quick("teacher", bits=3)
    with pytest.raises(UsageError, match="8 bits need ranges to start from"):
        quick("teacher")(tiny_checkpoint(), Context(TEXTS))
    with pytest.raises(UsageError, match="method is not used with 4 bits, which have no ranges"):
        quick("teacher", bits=4, method="minmax")
    with pytest.raises(UsageError, match="method is not used with a saved table"):
        quick("teacher", method="minmax", table="table.npz")
    with pytest.raises(UsageError, match="training for quantization needs texts"):
        quick("teacher")(tiny_checkpoint(), Context(calibrate=narrow_ranges))
    with pytest.raises(UsageError, match=r"fits no module.*did you mean"):
        quick(made.teacher, bits=4, keep_float=("bert.poler.dense",))(
            tiny_checkpoint(), Context(TEXTS)
        )
