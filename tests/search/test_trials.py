"""How quantized graphs are judged on texts without labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.examples import TextExample
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.search.latency_table import MeasureLatency, Timing
from bertcompress.search.trials import QuantizationTrials

pytestmark = pytest.mark.slow

Checkpoints = Callable[..., Checkpoint]

TEXTS = tuple(
    TextExample(str(at), text)
    for at, text in enumerate(("the film is good", "a bad film", "who is in berlin", "not anna"))
)


def drops(models: dict[str, OnnxModel], against: OnnxModel) -> dict[str, float]:
    trials = QuantizationTrials(TEXTS, MeasureLatency(TEXTS, Timing(threads=1)))
    return {name: one.drop for name, one in trials.judge(models, against=against).items()}


def moved(checkpoint: Checkpoint, parameter: str, by: float) -> OnnxModel:
    """Returns the graph of the model with this added to a bias."""
    with torch.no_grad():
        own: Any = checkpoint.model.get_parameter(parameter)
        own += by
        graph = ExportOnnx()(checkpoint)
        own -= by
    return replace(graph, history=())


def test_numbers_are_compared_by_their_spread(number_checkpoint: Checkpoint) -> None:
    model = number_checkpoint.model
    inputs = [number_checkpoint.tokenizer(one.text, return_tensors="pt") for one in TEXTS]
    with torch.no_grad():
        spread = float(np.std([float(model(**one).logits) for one in inputs]))
    plain = ExportOnnx()(number_checkpoint)
    near, far = (moved(number_checkpoint, "classifier.bias", by * spread) for by in (0.05, 0.5))

    found = drops({"same": plain, "near": near, "far": far}, plain)

    assert found == {"same": 0.0, "near": 0.0, "far": 1.0}


def test_vectors_are_compared_by_their_direction(tiny_checkpoint: Checkpoints) -> None:
    checkpoint = tiny_checkpoint(task="feature-extraction")
    bias = "encoder.layer.1.output.LayerNorm.bias"
    plain = ExportOnnx()(checkpoint)
    near, far = (moved(checkpoint, bias, by) for by in (0.02, 5.0))

    found = drops({"same": plain, "near": near, "far": far}, plain)

    assert found["same"] == pytest.approx(0.0, abs=1e-6)
    assert found["same"] < found["near"] < 0.01 < found["far"]  # one less the cosine
