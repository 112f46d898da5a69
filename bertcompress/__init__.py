"""bertcompress: makes a fine-tuned BERT small and fast, and proves that it still answers right.

    import bertcompress as bc

    model = bc.load("my-fine-tuned-bert")
    data = bc.load_dataset("train.csv", task=model.task)
    passes = [bc.Prune(data.examples, heads=0.3), bc.ExportOnnx(), bc.QuantizeDynamic()]
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
    from bertcompress.artifact import Checkpoint, Engine, OnnxModel, Step, save
    from bertcompress.bench.gate import GateLimits
    from bertcompress.bench.settings import BenchSettings
    from bertcompress.bench.variant import Subject, Variant
    from bertcompress.bench.write_report import read_report, write_report
    from bertcompress.bert.load import load, load_encoder
    from bertcompress.calibration_table import CalibrationTable
    from bertcompress.data import Columns, load_dataset
    from bertcompress.errors import BertCompressError
    from bertcompress.examples import Dataset, QuestionExample, TextExample, TokenExample
    from bertcompress.one_liners import prune_model, quantize_model
    from bertcompress.passes.build_engine import BuildEngine
    from bertcompress.passes.export_onnx import ExportOnnx
    from bertcompress.passes.finetune import Finetune
    from bertcompress.passes.halve_precision import HalvePrecision
    from bertcompress.passes.prune import Prune
    from bertcompress.passes.prune_ffn import PruneFfn
    from bertcompress.passes.prune_heads import PruneHeads
    from bertcompress.passes.prune_layers import PruneLayers
    from bertcompress.passes.prune_vocabulary import PruneVocabulary
    from bertcompress.passes.quantize_dynamic import QuantizeDynamic
    from bertcompress.passes.quantize_nncf import QuantizeNncf
    from bertcompress.passes.quantize_static import QuantizeStatic
    from bertcompress.passes.quantize_tensorrt import QuantizeTensorrt
    from bertcompress.passes.quantize_weights import QuantizeWeights
    from bertcompress.passes.recover import Recover
    from bertcompress.passes.relayout import Relayout
    from bertcompress.passes.train_quantized import TrainQuantized
    from bertcompress.passes.write_ort_format import WriteOrtFormat
    from bertcompress.pipeline import Pipeline, StepStore
    from bertcompress.runtimes import open_runtime
    from bertcompress.tasks import make_task

__version__ = "0.1.0"

_HOMES = {
    "BenchSettings": "bertcompress.bench.settings",
    "BertCompressError": "bertcompress.errors",
    "BuildEngine": "bertcompress.passes.build_engine",
    "CalibrationTable": "bertcompress.calibration_table",
    "Checkpoint": "bertcompress.artifact",
    "Columns": "bertcompress.data",
    "Dataset": "bertcompress.examples",
    "Engine": "bertcompress.artifact",
    "ExportOnnx": "bertcompress.passes.export_onnx",
    "Finetune": "bertcompress.passes.finetune",
    "GateLimits": "bertcompress.bench.gate",
    "HalvePrecision": "bertcompress.passes.halve_precision",
    "OnnxModel": "bertcompress.artifact",
    "Pipeline": "bertcompress.pipeline",
    "Prune": "bertcompress.passes.prune",
    "PruneFfn": "bertcompress.passes.prune_ffn",
    "PruneHeads": "bertcompress.passes.prune_heads",
    "PruneLayers": "bertcompress.passes.prune_layers",
    "PruneVocabulary": "bertcompress.passes.prune_vocabulary",
    "QuantizeDynamic": "bertcompress.passes.quantize_dynamic",
    "QuantizeNncf": "bertcompress.passes.quantize_nncf",
    "QuantizeStatic": "bertcompress.passes.quantize_static",
    "QuantizeTensorrt": "bertcompress.passes.quantize_tensorrt",
    "QuantizeWeights": "bertcompress.passes.quantize_weights",
    "QuestionExample": "bertcompress.examples",
    "Recover": "bertcompress.passes.recover",
    "Relayout": "bertcompress.passes.relayout",
    "Step": "bertcompress.artifact",
    "StepStore": "bertcompress.pipeline",
    "Subject": "bertcompress.bench.variant",
    "TextExample": "bertcompress.examples",
    "TokenExample": "bertcompress.examples",
    "TrainQuantized": "bertcompress.passes.train_quantized",
    "Variant": "bertcompress.bench.variant",
    "WriteOrtFormat": "bertcompress.passes.write_ort_format",
    "load": "bertcompress.bert.load",
    "load_dataset": "bertcompress.data",
    "load_encoder": "bertcompress.bert.load",
    "make_task": "bertcompress.tasks",
    "open_runtime": "bertcompress.runtimes",
    "prune_model": "bertcompress.one_liners",
    "quantize_model": "bertcompress.one_liners",
    "read_report": "bertcompress.bench.write_report",
    "save": "bertcompress.artifact",
    "write_report": "bertcompress.bench.write_report",
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
    "Prune",
    "PruneFfn",
    "PruneHeads",
    "PruneLayers",
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
