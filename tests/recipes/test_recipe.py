"""Which passes a recipe's chain gets beside those that it names."""

from __future__ import annotations

from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune_units import PruneHeads
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from bertcompress.recipes.recipe import or_default, with_exports
from bertcompress.recipes.step_settings import STEPS


def test_exports_are_put_where_they_are_needed() -> None:
    prune, quantize, export = PruneHeads(0.3), QuantizeDynamic(), ExportOnnx(seed=3)

    assert with_exports([prune], is_graph=False, graph_wanted=False) == (prune,)
    assert with_exports([prune], is_graph=False, graph_wanted=True, seed=3) == (prune, export)
    both = with_exports([prune, quantize], is_graph=False, graph_wanted=True, seed=3)
    assert both == (prune, export, quantize)
    assert with_exports([quantize], is_graph=True, graph_wanted=True) == (quantize,)
    given = ExportOnnx(opset=23)
    assert with_exports([given, quantize], is_graph=False, graph_wanted=True) == (given, quantize)


def test_a_graph_for_tensorrt_is_exported_first() -> None:
    passes = with_exports([QuantizeTensorrt()], is_graph=False, graph_wanted=True)
    assert [type(pass_) for pass_ in passes] == [ExportOnnx, QuantizeTensorrt]


def test_every_step_has_a_class_of_its_own() -> None:
    assert len(set(STEPS.values())) == len(STEPS)


def test_a_setting_that_was_given_wins() -> None:
    assert (or_default(0, 3), or_default(None, 3)) == (0, 3)
