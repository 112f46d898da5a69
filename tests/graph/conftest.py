"""Graphs as TensorRT gets them, made from tiny models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import onnx
import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.bert.surgery import cut
from bertcompress.graph.edit import copy_of
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt

CUTS = {
    "dense": None,
    "unequal heads": ((0, 1, 2, 3), (2,)),
    "no heads in the last layer": ((0, 1, 2, 3), ()),
    "no heads at all": ((), ()),
}


@pytest.fixture(scope="session")
def unequal(tiny_checkpoint: Callable[..., Checkpoint]) -> OnnxModel:
    """A model with three heads in the first layer, none in the second, and odd widths."""
    checkpoint = tiny_checkpoint()
    model = cut(checkpoint.model, heads=((0, 1, 3), ()), ffn=(tuple(range(37)), ()))
    return ExportOnnx()(replace(checkpoint, model=model))


@pytest.fixture(scope="session", params=CUTS)
def cut_graph(
    request: pytest.FixtureRequest, tiny_checkpoint: Callable[..., Checkpoint]
) -> onnx.ModelProto:
    """The graph of a classifier with these heads left, and few neurons where any are cut."""
    checkpoint, heads = tiny_checkpoint(), CUTS[request.param]
    model = checkpoint.model
    if heads is not None:
        model = cut(model, heads=heads, ffn=(tuple(range(9)), tuple(range(5))))
    return ExportOnnx()(replace(checkpoint, model=model)).graph


@pytest.fixture(scope="session")
def for_tensorrt(
    tiny_graph: Callable[..., OnnxModel], wide_inside: Context
) -> Callable[..., onnx.ModelProto]:
    """Gives ``for_tensorrt(precision=…, target=…, attention=…)``: a copy of its own each time."""
    made: dict[tuple[object, ...], onnx.ModelProto] = {}

    def make(
        precision: str = "int8", target: str = "10.14", attention: bool = False
    ) -> onnx.ModelProto:
        key = (precision, target, attention)
        if key not in made:
            pass_ = QuantizeTensorrt(
                precision=precision,  # type: ignore[arg-type]  # a test's parameter
                target=target,
                attention=attention,
            )
            made[key] = pass_(tiny_graph(), wide_inside).graph
        return copy_of(made[key])

    return make
