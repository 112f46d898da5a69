"""bertcompress: makes a fine-tuned BERT small and fast, and proves that it still answers right.

    import bertcompress as bc

    model = bc.load("my-fine-tuned-bert")
    data = bc.load_dataset("train.csv", task=model.task)
    passes = [bc.Prune(heads=0.3), bc.ExportOnnx(), bc.QuantizeDynamic()]
    bc.save(bc.Pipeline(passes)(model), "small")

Importing it registers the pruned model classes with Transformers, so that
``AutoModelForSequenceClassification.from_pretrained`` reads pruned folders. The names below are
loaded when they are first used; with ``BERTCOMPRESS_LAZY=1`` in the environment the registration
waits for that too, which is how the command answers ``--help`` at once.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

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
    from bertcompress.inference.predictor import Predictor
    from bertcompress.one_liners import prune_model, quantize_model
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
    from bertcompress.passes.tensorrt.build_engine import BuildEngine
    from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
    from bertcompress.pipeline import Pipeline, StepStore
    from bertcompress.report.report_files import read_report, write_report
    from bertcompress.runtimes import open_runtime
    from bertcompress.search.prune_to_target import PruneToTarget
    from bertcompress.tasks import make_task
    from bertcompress.train.distill_checkpoint import Recover
    from bertcompress.train.finetune import Finetune
    from bertcompress.train.train_quantized import TrainQuantized

__version__ = "0.1.0"

_HOMES = {
    "BenchSettings": "bertcompress.bench.settings",
    "BertCompressError": "bertcompress.errors",
    "BuildEngine": "bertcompress.passes.tensorrt.build_engine",
    "CalibrationTable": "bertcompress.artifacts.calibration_table",
    "Checkpoint": "bertcompress.artifacts.artifact",
    "Columns": "bertcompress.data",
    "Dataset": "bertcompress.examples",
    "Engine": "bertcompress.artifacts.artifact",
    "ExportOnnx": "bertcompress.passes.export.export_onnx",
    "Finetune": "bertcompress.train.finetune",
    "GateLimits": "bertcompress.gates.gate",
    "HalvePrecision": "bertcompress.passes.export.halve_precision",
    "OnnxModel": "bertcompress.artifacts.artifact",
    "Pipeline": "bertcompress.pipeline",
    "Predictor": "bertcompress.inference.predictor",
    "Prune": "bertcompress.passes.prune.prune",
    "PruneFfn": "bertcompress.passes.prune.prune_units",
    "PruneHeads": "bertcompress.passes.prune.prune_units",
    "PruneLayers": "bertcompress.passes.prune.prune_layers",
    "PruneToTarget": "bertcompress.search.prune_to_target",
    "PruneVocabulary": "bertcompress.passes.prune.prune_vocabulary",
    "QuantizeDynamic": "bertcompress.passes.quantize.quantize_dynamic",
    "QuantizeNncf": "bertcompress.passes.quantize.quantize_nncf",
    "QuantizeStatic": "bertcompress.passes.quantize.quantize_static",
    "QuantizeTensorrt": "bertcompress.passes.tensorrt.quantize_tensorrt",
    "QuantizeWeights": "bertcompress.passes.quantize.quantize_weights",
    "QuestionExample": "bertcompress.examples",
    "Recover": "bertcompress.train.distill_checkpoint",
    "Relayout": "bertcompress.passes.prune.relayout",
    "Step": "bertcompress.artifacts.artifact",
    "StepStore": "bertcompress.pipeline",
    "Subject": "bertcompress.bench.variant",
    "TextExample": "bertcompress.examples",
    "TokenExample": "bertcompress.examples",
    "TrainQuantized": "bertcompress.train.train_quantized",
    "Variant": "bertcompress.bench.variant",
    "WriteOrtFormat": "bertcompress.passes.export.write_ort_format",
    "load": "bertcompress.bert.loading.load",
    "load_dataset": "bertcompress.data",
    "load_encoder": "bertcompress.bert.loading.load",
    "make_task": "bertcompress.tasks",
    "open_runtime": "bertcompress.runtimes",
    "prune_model": "bertcompress.one_liners",
    "quantize_model": "bertcompress.one_liners",
    "read_report": "bertcompress.report.report_files",
    "save": "bertcompress.artifacts.artifact",
    "write_report": "bertcompress.report.report_files",
}

__all__ = [
    "BenchSettings",
    "BertCompressError",
    "BuildEngine",
    "CalibrationTable",
    "Checkpoint",
    "Columns",
    "Dataset",
    "Engine",
    "ExportOnnx",
    "Finetune",
    "GateLimits",
    "HalvePrecision",
    "OnnxModel",
    "Pipeline",
    "Predictor",
    "Prune",
    "PruneFfn",
    "PruneHeads",
    "PruneLayers",
    "PruneToTarget",
    "PruneVocabulary",
    "QuantizeDynamic",
    "QuantizeNncf",
    "QuantizeStatic",
    "QuantizeTensorrt",
    "QuantizeWeights",
    "QuestionExample",
    "Recover",
    "Relayout",
    "Step",
    "StepStore",
    "Subject",
    "TextExample",
    "TokenExample",
    "TrainQuantized",
    "Variant",
    "WriteOrtFormat",
    "load",
    "load_dataset",
    "load_encoder",
    "make_task",
    "open_runtime",
    "prune_model",
    "quantize_model",
    "read_report",
    "save",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'bertcompress' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted((*globals(), *_HOMES))


if os.environ.get("BERTCOMPRESS_LAZY") != "1":
    from bertcompress.bert.register import register

    register()
