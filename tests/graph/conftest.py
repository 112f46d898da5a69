"""Graphs as TensorRT gets them, made from tiny models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.bert.surgery import cut
from bertcompress.graph.attention_products import attention_operands
from bertcompress.graph.edit import copy_of
from bertcompress.graph.fingerprint import weights_fingerprint
from bertcompress.graph.products import weight_products
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt


@pytest.fixture(scope="session")
def unequal(tiny_checkpoint: Callable[..., Checkpoint]) -> OnnxModel:
    """A model with three heads in the first layer, none in the second, and odd widths."""
    checkpoint = tiny_checkpoint()
    model = cut(checkpoint.model, heads=((0, 1, 3), ()), ffn=(tuple(range(37)), ()))
    return ExportOnnx()(replace(checkpoint, model=model))


@pytest.fixture(scope="session")
def wide_table() -> Callable[[OnnxModel], CalibrationTable]:
    """Gives a calibrator whose ranges, of products' inputs and inside attention, are -4 to 4."""

    def calibrate(model: OnnxModel) -> CalibrationTable:
        none = np.zeros(0, dtype=np.int64)
        watched = (*weight_products(model.graph), *attention_operands(model.graph))
        return CalibrationTable(
            ranges={
                one.module: TensorRange(one.tensor, -4.0, 4.0, -4.0, 4.0, 1, none)
                for one in watched
            },
            method="minmax",
            sample_ids=("0",),
            seed=0,
            data_fingerprint="0",
            weights_fingerprint=weights_fingerprint(model.graph),
        )

    return calibrate


@pytest.fixture(scope="session")
def for_tensorrt(
    tiny_graph: Callable[..., OnnxModel], wide_table: Callable[[OnnxModel], CalibrationTable]
) -> Callable[..., onnx.ModelProto]:
    """Gives ``for_tensorrt(precision=…, target=…, attention=…)``: a copy of its own each time."""
    made: dict[tuple[object, ...], onnx.ModelProto] = {}

    def make(
        precision: str = "int8", target: str = "10.14", attention: bool = False
    ) -> onnx.ModelProto:
        key = (precision, target, attention)
        if key not in made:
            pass_ = QuantizeTensorrt(
                wide_table if precision in ("int8", "fp8") else None,
                precision=precision,  # type: ignore[arg-type]  # a test's parameter
                target=target,
                attention=attention,
            )
            made[key] = pass_(tiny_graph()).graph
        return copy_of(made[key])

    return make
