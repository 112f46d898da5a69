"""bertcompress: makes a fine-tuned BERT small and fast, and proves that it still answers right.

    import bertcompress as bc

    model = bc.load("my-fine-tuned-bert")
    data = bc.load_dataset("train.csv", task=model.task)
    passes = [bc.Prune(heads=0.3), bc.ExportOnnx(), bc.QuantizeStatic()]
    bc.save(bc.Pipeline(passes)(model, bc.Context(data)), "small")

or, as the command does it, ``bc.prune("my-fine-tuned-bert", heads=0.3, data="train.csv")``.
``bc.benchmark(["my-fine-tuned-bert", "small"], "test.csv")`` measures both.

Importing it registers the pruned model classes with Transformers, so that
``AutoModelForSequenceClassification.from_pretrained`` reads pruned folders. The names below are
loaded when they are first used; with ``BERTCOMPRESS_LAZY=1`` in the environment the registration
waits for that too, which is how the command answers ``--help`` at once.

Importing it also tells the libraries below not to call home, see `bertcompress.quiet`.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from bertcompress.quiet import refuse_telemetry

if TYPE_CHECKING:
    from bertcompress.artifacts.artifact import Checkpoint, Engine, OnnxModel, Step, save
    from bertcompress.artifacts.calibration_table import CalibrationTable
    from bertcompress.bench.settings import BenchSettings
    from bertcompress.bench.variant import Subject, Variant
    from bertcompress.bert.loading.load import load, load_encoder
    from bertcompress.data import Columns, load_dataset
    from bertcompress.errors import BertCompressError
    from bertcompress.examples import Dataset, QuestionExample, TextExample, TokenExample
    from bertcompress.gates.gate import GateLimits
    from bertcompress.inference.onnx_transformer import OnnxTransformer
    from bertcompress.inference.predictor import Predictor
    from bertcompress.one_liners import prune, prune_model, quantize, quantize_model
    from bertcompress.passes.export.export_onnx import ExportOnnx
    from bertcompress.passes.export.halve_precision import HalvePrecision
    from bertcompress.passes.export.write_ort_format import WriteOrtFormat
    from bertcompress.passes.prune.prune import Prune
    from bertcompress.passes.prune.prune_layers import PruneLayers
    from bertcompress.passes.prune.prune_units import PruneFfn, PruneHeads
    from bertcompress.passes.prune.prune_vocabulary import PruneVocabulary
    from bertcompress.passes.prune.relayout import Relayout
    from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
    from bertcompress.passes.quantize.quantize_nncf import QuantizeNncf
    from bertcompress.passes.quantize.quantize_static import QuantizeStatic
    from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
    from bertcompress.passes.quantize.smooth_activations import SmoothActivations
    from bertcompress.passes.ranges import Ranges
    from bertcompress.passes.tensorrt.build_engine import BuildEngine
    from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
    from bertcompress.pipeline import Pipeline, StepStore
    from bertcompress.recipes.measure import benchmark
    from bertcompress.recipes.prune_recipe import PruneOptions
    from bertcompress.recipes.quantize_recipe import QuantizeOptions
    from bertcompress.recipes.resources import RecipeContext as Context
    from bertcompress.report.report_files import read_report, write_report
    from bertcompress.runtimes import open_runtime
    from bertcompress.search.fastest_int8 import QuantizeBest
    from bertcompress.search.latency_table import Timing
    from bertcompress.search.prune_to_target import PruneToTarget
    from bertcompress.serve.client import AsyncClient, Client
    from bertcompress.tasks.make_task import make_task
    from bertcompress.train.distill_checkpoint import Recover
    from bertcompress.train.finetune import Finetune
    from bertcompress.train.train_quantized import TrainQuantized

__version__ = "0.1.0"

_NAMES = {
    "bertcompress.artifacts.artifact": ("Checkpoint", "Engine", "OnnxModel", "Step", "save"),
    "bertcompress.artifacts.calibration_table": ("CalibrationTable",),
    "bertcompress.bench.settings": ("BenchSettings",),
    "bertcompress.bench.variant": ("Subject", "Variant"),
    "bertcompress.bert.loading.load": ("load", "load_encoder"),
    "bertcompress.data": ("Columns", "load_dataset"),
    "bertcompress.errors": ("BertCompressError",),
    "bertcompress.examples": ("Dataset", "QuestionExample", "TextExample", "TokenExample"),
    "bertcompress.gates.gate": ("GateLimits",),
    "bertcompress.inference.onnx_transformer": ("OnnxTransformer",),
    "bertcompress.inference.predictor": ("Predictor",),
    "bertcompress.one_liners": ("prune", "prune_model", "quantize", "quantize_model"),
    "bertcompress.passes.export.export_onnx": ("ExportOnnx",),
    "bertcompress.passes.export.halve_precision": ("HalvePrecision",),
    "bertcompress.passes.export.write_ort_format": ("WriteOrtFormat",),
    "bertcompress.passes.prune.prune": ("Prune",),
    "bertcompress.passes.prune.prune_layers": ("PruneLayers",),
    "bertcompress.passes.prune.prune_units": ("PruneFfn", "PruneHeads"),
    "bertcompress.passes.prune.prune_vocabulary": ("PruneVocabulary",),
    "bertcompress.passes.prune.relayout": ("Relayout",),
    "bertcompress.passes.quantize.quantize_dynamic": ("QuantizeDynamic",),
    "bertcompress.passes.quantize.quantize_nncf": ("QuantizeNncf",),
    "bertcompress.passes.quantize.quantize_static": ("QuantizeStatic",),
    "bertcompress.passes.quantize.quantize_weights": ("QuantizeWeights",),
    "bertcompress.passes.ranges": ("Ranges",),
    "bertcompress.passes.quantize.smooth_activations": ("SmoothActivations",),
    "bertcompress.passes.tensorrt.build_engine": ("BuildEngine",),
    "bertcompress.passes.tensorrt.quantize_tensorrt": ("QuantizeTensorrt",),
    "bertcompress.pipeline": ("Pipeline", "StepStore"),
    "bertcompress.recipes.measure": ("benchmark",),
    "bertcompress.recipes.prune_recipe": ("PruneOptions",),
    "bertcompress.recipes.quantize_recipe": ("QuantizeOptions",),
    "bertcompress.recipes.resources": ("Context",),
    "bertcompress.report.report_files": ("read_report", "write_report"),
    "bertcompress.runtimes": ("open_runtime",),
    "bertcompress.search.fastest_int8": ("QuantizeBest",),
    "bertcompress.search.latency_table": ("Timing",),
    "bertcompress.search.prune_to_target": ("PruneToTarget",),
    "bertcompress.serve.client": ("AsyncClient", "Client"),
    "bertcompress.tasks.make_task": ("make_task",),
    "bertcompress.train.distill_checkpoint": ("Recover",),
    "bertcompress.train.finetune": ("Finetune",),
    "bertcompress.train.train_quantized": ("TrainQuantized",),
}
"""The public names, by the module that each is loaded from."""

_CALLED = {"Context": "RecipeContext"}
"""What a name is called at home, where it is called otherwise."""

__all__ = [
    "AsyncClient",
    "BenchSettings",
    "BertCompressError",
    "BuildEngine",
    "CalibrationTable",
    "Checkpoint",
    "Client",
    "Columns",
    "Context",
    "Dataset",
    "Engine",
    "ExportOnnx",
    "Finetune",
    "GateLimits",
    "HalvePrecision",
    "OnnxModel",
    "OnnxTransformer",
    "Pipeline",
    "Predictor",
    "Prune",
    "PruneFfn",
    "PruneHeads",
    "PruneLayers",
    "PruneOptions",
    "PruneToTarget",
    "PruneVocabulary",
    "QuantizeBest",
    "QuantizeDynamic",
    "QuantizeNncf",
    "QuantizeOptions",
    "QuantizeStatic",
    "QuantizeTensorrt",
    "QuantizeWeights",
    "QuestionExample",
    "Ranges",
    "Recover",
    "Relayout",
    "SmoothActivations",
    "Step",
    "StepStore",
    "Subject",
    "TextExample",
    "Timing",
    "TokenExample",
    "TrainQuantized",
    "Variant",
    "WriteOrtFormat",
    "benchmark",
    "load",
    "load_dataset",
    "load_encoder",
    "make_task",
    "open_runtime",
    "prune",
    "prune_model",
    "quantize",
    "quantize_model",
    "read_report",
    "save",
    "write_report",
]


def __getattr__(name: str) -> object:
    for module, names in _NAMES.items():
        if name in names:
            return getattr(importlib.import_module(module), _CALLED.get(name, name))
    raise AttributeError(f"module 'bertcompress' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted((*globals(), *__all__))


refuse_telemetry()
if os.environ.get("BERTCOMPRESS_LAZY") != "1":
    from bertcompress.bert.register import register

    register()
