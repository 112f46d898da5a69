"""Training for quantization: it helps what is shipped, carries its ranges, goes on when stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bertcompress.artifact import Artifact, Checkpoint, OnnxModel, save
from bertcompress.bert.load import load
from bertcompress.bert.surgery import cut
from bertcompress.calibration_table import CalibrationTable
from bertcompress.errors import CalibrationError, UsageError
from bertcompress.examples import Example
from bertcompress.manifest import RANGES_NAME
from bertcompress.passes.export_onnx import ExportOnnx
from bertcompress.passes.quantize_static import QuantizeStatic
from bertcompress.passes.quantize_weights import QuantizeWeights
from bertcompress.passes.torch_batches import batches_for
from bertcompress.passes.train_quantized import TrainQuantized
from bertcompress.passes.trained_ranges import TrainedRanges
from bertcompress.runtimes.ort_runtime import run_graph

pytest.importorskip("accelerate")

Checkpoints = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]
Calibrator = Callable[[OnnxModel], CalibrationTable]
QUERY = "bert.encoder.layer.0.attention.self.query"


class StoppedError(Exception):
    """Stands for an interruption."""


@pytest.fixture
def teacher(tiny_checkpoint: Checkpoints, tmp_path: Path) -> str:
    return str(save(tiny_checkpoint(), tmp_path / "teacher"))


@pytest.fixture
def narrow_ranges(wide_ranges: Calibrator) -> Calibrator:
    """Gives a calibrator whose ranges cut off too much."""

    def calibrate(model: OnnxModel) -> CalibrationTable:
        table = wide_ranges(model)
        ranges = {name: replace(one, low=-2.0, high=2.0) for name, one in table.ranges.items()}
        return replace(table, ranges=ranges)

    return calibrate


@pytest.fixture
def train(teacher: str, examples: Examples, narrow_ranges: Calibrator) -> Callable[..., Checkpoint]:
    """Gives ``train(checkpoint, …)``: the pass with quick settings."""

    def run(checkpoint: Checkpoint, **changed: object) -> Checkpoint:
        settings = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3, **changed}
        if settings.get("bits") != 4:
            settings["calibrate"] = narrow_ranges
        return TrainQuantized(examples(count=40), teacher, **settings)(checkpoint)  # type: ignore[arg-type]  # a test's shorthand

    return run


def shipped(checkpoint: Checkpoint, quantize: Callable[[Artifact], OnnxModel]) -> OnnxModel:
    return quantize(ExportOnnx()(checkpoint))


def error_of(graph: OnnxModel, teacher: Checkpoint, examples: tuple[Example, ...]) -> float:
    """Returns the mean squared error of a graph's logits."""
    [batch] = batches_for(teacher, examples, samples=40, batch_size=40, max_length=None, seed=0)
    [found] = run_graph(graph.graph, [{name: one.numpy() for name, one in batch.inputs.items()}])
    with torch.no_grad():
        wanted = teacher.model(**batch.inputs).logits.numpy()
    return float(np.square(found["logits"] - wanted).mean())


def test_the_shipped_graph_answers_nearer_to_the_original(
    train: Callable[..., Checkpoint],
    tiny_checkpoint: Checkpoints,
    examples: Examples,
    narrow_ranges: Calibrator,
) -> None:
    original, texts = tiny_checkpoint(), examples(count=40)
    before = shipped(original, QuantizeStatic(narrow_ranges))

    result = train(original)
    after = shipped(result, QuantizeStatic())

    assert error_of(after, original, texts) < 0.5 * error_of(before, original, texts)
    epochs = result.history[-1].details["epochs"]
    assert isinstance(epochs, list)
    assert [one["epoch"] for one in epochs] == [0, 1.0, 2.0]
    assert epochs[-1]["validation_loss"] < 0.8 * epochs[0]["validation_loss"]


def test_blocks_of_4_bits_answer_nearer_to_the_original(
    train: Callable[..., Checkpoint], tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    original, texts = tiny_checkpoint(), examples(count=40)
    before = shipped(original, QuantizeWeights(bits=4))

    result = train(original, bits=4, epochs=3)
    after = shipped(result, QuantizeWeights(bits=4))

    assert error_of(after, original, texts) < 0.3 * error_of(before, original, texts)
    assert RANGES_NAME not in result.side_files


def test_what_pruning_leaves_is_trained_and_shipped(
    train: Callable[..., Checkpoint],
    tiny_checkpoint: Checkpoints,
    examples: Examples,
    narrow_ranges: Calibrator,
    tmp_path: Path,
) -> None:
    original, texts = tiny_checkpoint(), examples(count=40)
    model = cut(original.model, heads=((), (0, 2, 3)), ffn=(tuple(range(37)), ()))
    pruned = replace(original, model=model)

    result = load(save(train(pruned), tmp_path / "out"))

    assert isinstance(result, Checkpoint)
    assert result.config.layer_heads == [0, 3]
    before = shipped(pruned, QuantizeStatic(narrow_ranges))
    assert error_of(shipped(result, QuantizeStatic()), original, texts) < error_of(
        before, original, texts
    )


def test_saved_and_loaded_it_carries_the_ranges_into_the_graph(
    train: Callable[..., Checkpoint], tiny_checkpoint: Checkpoints, tmp_path: Path
) -> None:
    result = train(tiny_checkpoint())
    again = load(save(result, tmp_path / "out"))
    assert isinstance(again, Checkpoint)

    graph = ExportOnnx()(again)
    loaded = load(save(graph, tmp_path / "graph"))
    assert isinstance(loaded, OnnxModel)
    table = TrainedRanges()(loaded)

    low, high = json.loads(result.side_files[RANGES_NAME])["ranges"][QUERY]
    found = table.range_of(QUERY)
    assert (found.low, found.high) == (low, high) != (-2.0, 2.0)
    assert found == table.range_of(QUERY.replace("query", "key"))
    first, second = QuantizeStatic()(loaded), shipped(result, QuantizeStatic())
    assert first.graph.SerializeToString() == second.graph.SerializeToString()
    assert first.history[-1].details["calibration"] == {
        "method": "trained",
        "samples": 1,
        "seed": 0,
        "data": "0",
    }


def test_ranges_of_other_weights_are_refused(
    train: Callable[..., Checkpoint], tiny_checkpoint: Checkpoints
) -> None:
    result = train(tiny_checkpoint(), epochs=1)
    other = replace(tiny_checkpoint(), side_files=result.side_files)
    broken = replace(result, side_files={RANGES_NAME: b"{"})
    newer = replace(result, side_files={RANGES_NAME: b'{"format": 2}'})

    with pytest.raises(CalibrationError, match="was changed after its ranges were trained"):
        shipped(other, QuantizeStatic())
    with pytest.raises(CalibrationError, match=r"trained_ranges\.json is damaged"):
        shipped(broken, QuantizeStatic())
    with pytest.raises(CalibrationError, match="has format 2, this bertcompress reads up to 1"):
        shipped(newer, QuantizeStatic())
    with pytest.raises(CalibrationError, match="carries no trained ranges"):
        shipped(tiny_checkpoint(), QuantizeStatic())


def test_training_that_does_not_help_is_not_kept(
    train: Callable[..., Checkpoint], tiny_checkpoint: Checkpoints
) -> None:
    original = tiny_checkpoint()

    result = train(original, learning_rate=0.5, epochs=1)

    before, after = original.model.state_dict(), result.model.state_dict()
    assert all(torch.equal(after[name], one) for name, one in before.items())
    assert json.loads(result.side_files[RANGES_NAME])["ranges"][QUERY] == pytest.approx([-2.0, 2.0])
    assert "before training" in str(result.history[-1].details["kept"])


@pytest.mark.parametrize("dropout", [False, True])
def test_interrupted_it_goes_on_and_ends_the_same(
    dropout: bool,
    teacher: str,
    tiny_checkpoint: Checkpoints,
    examples: Examples,
    wide_ranges: Calibrator,
    tmp_path: Path,
) -> None:
    make = TrainQuantized(
        examples(count=40), teacher, wide_ranges, epochs=2, batch_size=8, dropout=dropout
    )
    kept = replace(make, state_folder=str(tmp_path / "state"))

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "train quantized" and done == 7:
            raise StoppedError

    with pytest.raises(StoppedError):
        kept(tiny_checkpoint(), progress=stop)
    resumed, whole = kept(tiny_checkpoint()), make(tiny_checkpoint())

    first, second = resumed.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(one, second[name]) for name, one in first.items())
    assert resumed.side_files == whole.side_files
    assert resumed.history[-1].details == whole.history[-1].details


def test_what_can_not_be_meant_is_refused(
    examples: Examples, wide_ranges: Calibrator, teacher: str, tiny_checkpoint: Checkpoints
) -> None:
    texts = examples()
    with pytest.raises(UsageError, match="bits must be 4 or 8, got 3"):
        TrainQuantized(texts, "teacher", wide_ranges, bits=3)
    with pytest.raises(UsageError, match="8 bits need ranges to start from"):
        TrainQuantized(texts, "teacher")
    with pytest.raises(UsageError, match="4 bits are for weights only"):
        TrainQuantized(texts, "teacher", wide_ranges, bits=4)
    with pytest.raises(UsageError, match="training for quantization needs texts"):
        TrainQuantized((), "teacher", wide_ranges)
    with pytest.raises(UsageError, match=r"fits no module.*did you mean"):
        TrainQuantized(texts, teacher, bits=4, keep_float=("bert.poler.dense",))(tiny_checkpoint())
