"""What is asked of an export, as passes."""

from __future__ import annotations

import pytest

from bertcompress.errors import UsageError
from bertcompress.passes.base import AnyPass
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.export.halve_precision import HalvePrecision
from bertcompress.passes.export.write_ort_format import WriteOrtFormat
from bertcompress.recipes.export_recipe import ExportOptions, export_passes


def passes_of(asked: ExportOptions, *, is_graph: bool = False) -> tuple[AnyPass, ...]:
    return export_passes(asked, model="m", is_graph=is_graph, seed=3)


def test_a_checkpoint_is_exported_then_halved_or_written_for_mobile() -> None:
    export = ExportOnnx(opset=18, tolerance=1e-3, seed=3)
    assert passes_of(ExportOptions(opset=18, tolerance=1e-3)) == (export,)
    half = ExportOptions(opset=18, tolerance=1e-3, precision="fp16")
    assert passes_of(half) == (export, HalvePrecision("fp16", seed=3))
    mobile = ExportOptions(opset=18, tolerance=1e-3, form="ort")
    assert passes_of(mobile) == (export, WriteOrtFormat(tolerance=1e-3, seed=3))


def test_a_graph_is_written_for_mobile_as_it_is() -> None:
    assert passes_of(ExportOptions(form="ort"), is_graph=True) == (WriteOrtFormat(seed=3),)


def test_what_can_not_be_meant() -> None:
    with pytest.raises(UsageError, match="format must be onnx or ort, got 'tflite'"):
        ExportOptions(form="tflite")
    with pytest.raises(UsageError, match="m is a graph already; leave --exporter and --opset out"):
        passes_of(ExportOptions(form="ort", opset=18), is_graph=True)
    with pytest.raises(UsageError, match="precision is for GPUs and format ort for mobile builds"):
        passes_of(ExportOptions(form="ort", precision="fp16"))
