"""Trains a checkpoint for the integers it will be stored in: quantization-aware distillation.

The student is the checkpoint with fake quantization (`fake_quant.py`) on exactly what the
quantize pass will quantize, so that it feels the rounding and learns to answer well in spite of it.
The teacher is the original model in float; no labels are needed.

* **8 bits**, for `QuantizeStatic`: inputs of weight products (U8, the ranges start calibrated and
  are trained), weights (S8 by output channel), embedding tables (INT8 blocks). The ranges travel
  with the checkpoint (`passes/quantize/trained_ranges.py`) into the very graph trained for.
* **4 bits**, for `QuantizeWeights` with ``rounding="rtn"``: weights and embedding tables in blocks,
  rounded to the nearest step of each block's whole range.

What is returned is a checkpoint like any other, in float and without fake quantization: export it
and quantize it with the same settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from bertcompress.artifacts.artifact import Checkpoint, Kind
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.artifacts.manifest import RANGES_NAME
from bertcompress.bert.answers import TEMPERATURE
from bertcompress.errors import UsageError
from bertcompress.graph.integer.embeddings import SMALLEST_TABLE, blocks_of
from bertcompress.graph.products import HEADS
from bertcompress.numerics.blocks import fitting_block_size
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.audit import check_patterns, chosen_modules
from bertcompress.passes.quantize.blocks import check_blocks, format_for
from bertcompress.passes.quantize.quantize_weights import BLOCK_SIZE
from bertcompress.passes.quantize.trained_ranges import ranges_file
from bertcompress.passes.ranges import Ranges
from bertcompress.passes.settings import PATH, Need, part_of
from bertcompress.train.distill_checkpoint import Recover, check_texts
from bertcompress.train.trainer import Epoch, TrainingDetails, require_accelerate

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from bertcompress.train.quantized_modules import Rounding


@dataclass(frozen=True)
class MovedRange:
    """An input's range before and after training."""

    module: str
    low_before: float
    low: float
    high_before: float
    high: float


@dataclass(frozen=True)
class QuantizedTrainingDetails(TrainingDetails):
    """What training for quantization tells beside its epochs.

    Attributes:
        kept: What was kept in place of the trained weights, and why; None if they were.
        ranges: How far each range moved; None where there are none.
    """

    kept: str | None = None
    ranges: tuple[MovedRange, ...] | None = None


@dataclass(frozen=True)
class TrainQuantized(Pass[Checkpoint, Checkpoint]):
    """Distils the original model into one that will be quantized.

    The examples are texts of the kind that it will answer; labels are not looked at.

    Attributes:
        teacher: The folder or hub name of the original model; None takes the run's original.
        method: How the ranges are found that training starts from, as in `Ranges`; 8 bits only.
        table: A saved table of those ranges instead; 8 bits only.
        bits: 8 for what `QuantizeStatic` makes, 4 for what `QuantizeWeights` makes.
        block_size: With 4 bits: input channels that share a scale.
        embeddings: Whether the embedding tables will be quantized too.
        keep_float: Modules that will stay in float, names or patterns.
        epochs: Passes over the texts.
        learning_rate: The peak of a linear schedule with warm-up (AdamW).
        batch_size: Texts of one step.
        max_length: Longest text in tokens.
        samples: At most this many texts are used, drawn stratified.
        hidden: The weight of the hidden states beside the answers.
        temperature: Softens the answers.
        warmup_fraction: The part of all steps in which the rate rises.
        weight_decay: AdamW's.
        dropout: Whether the student's dropout stays on. Its noise is larger than that of the
            integers, which it hides.
        seed: Draws and orders the texts, and draws dropout.
    """

    teacher: str | None = None
    method: str = Ranges.method
    table: str | None = field(default=None, metadata=PATH)
    bits: int = 8
    block_size: int = BLOCK_SIZE
    embeddings: bool = True
    keep_float: tuple[str, ...] = HEADS
    epochs: float = 1.0
    learning_rate: float = 5e-5
    batch_size: int = 32
    max_length: int = 128
    samples: int = 20_000
    hidden: float = 1.0
    temperature: float = TEMPERATURE
    warmup_fraction: float = 0.05
    weight_decay: float = 0.01
    dropout: bool = False
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"
    trains: ClassVar[bool] = True

    def __post_init__(self) -> None:
        part_of(self, Recover)  # refuses what can't be meant
        check_patterns(self.keep_float)
        check_blocks(self.bits, self.block_size)
        ranges = self._ranges()
        if self.bits == 4:
            ranges.refuse("4 bits, which have no ranges")

    @property
    def needs(self) -> tuple[Need, ...]:
        """The texts."""
        return ("examples",)

    def check(self, context: Context) -> None:
        """Refuses a run without texts, or without what finds ranges where they are needed."""
        check_texts(context, "training for quantization")
        if self.bits == 8 and not context.finds_ranges:
            raise UsageError(
                "8 bits need ranges to start from; give Context(calibrate=…), or bits=4"
            )

    def identity(self, context: Context) -> dict[str, str]:
        """Returns what a finished step is known by, beside the settings: texts and table."""
        return {**super().identity(context), **self._ranges().identity()}

    def apply(
        self, checkpoint: Checkpoint, context: Context
    ) -> tuple[Checkpoint, QuantizedTrainingDetails]:
        """Returns the trained checkpoint, in evaluation mode on the CPU.

        Raises:
            PassError: If the teacher is a graph, differs in task or layers, or training diverged.
            UsageError: If `keep_float` fits nothing, or nothing is left to quantize.
            CalibrationError: If the ranges are of another model.
            LoadError: If the teacher can't be loaded.
            MissingDependencyError: If Accelerate or ONNX Runtime is not installed.
        """
        from bertcompress.train.quantized_modules import ranges_in, with_weights_of

        require_accelerate("training for quantization")
        distillation = part_of(self, Recover)
        teacher = distillation.teacher_for(checkpoint, context)
        table = None
        if self.bits == 8:
            table = context.ranges_of(ExportOnnx()(checkpoint), self._ranges(), seed=self.seed)
        student = self._student(checkpoint, table)
        epochs = distillation.train(
            student, checkpoint, teacher, context, stage="train quantized", measures_start=True
        )
        kept = None
        if not _is_better(epochs):
            student = self._student(checkpoint, table)
            kept = "the weights before training, whose held-out loss is the lowest"
        result = replace(checkpoint, model=with_weights_of(checkpoint.model, student))
        if table is None:
            return result, QuantizedTrainingDetails(epochs, kept)
        ranges = ranges_in(student)
        file = ranges_file(result, ranges, table)
        result = replace(result, side_files={**result.side_files, RANGES_NAME: file})
        return result, QuantizedTrainingDetails(epochs, kept, _moved(table, ranges))

    def _student(self, checkpoint: Checkpoint, table: CalibrationTable | None) -> PreTrainedModel:
        """Returns a copy of the model with fake quantization."""
        from bertcompress.train import quantized_modules as modules
        from bertcompress.train.fake_quant import round_rows, round_table

        model = checkpoint.model
        chosen = chosen_modules(modules.linear_modules(model), self.keep_float)
        names = modules.tables_of(model, rows=SMALLEST_TABLE) if self.embeddings else ()
        linears: dict[str, Rounding] = dict.fromkeys(chosen, round_rows)
        tables: dict[str, Rounding] = {}
        for name in names:
            blocks = blocks_of(model.get_parameter(f"{name}.weight").shape[1])
            tables[name] = round_rows if blocks is None else partial(round_table, format_=blocks)
        if self.bits == 4:
            linears = rounding_in_blocks(model, chosen, self.block_size)
            tables = rounding_in_blocks(model, names, self.block_size)
        ranges = {name: table.range_of(name) for name in chosen} if table is not None else {}
        student = modules.with_fake_quantization(
            model,
            linears=linears,
            tables=tables,
            ranges={name: (start.low, start.high) for name, start in ranges.items()},
        )
        if not self.dropout:
            modules.without_dropout(student)
        return student

    def _ranges(self) -> Ranges:
        return Ranges(self.method, table=self.table)


def rounding_in_blocks(
    model: PreTrainedModel, modules: Sequence[str], block_size: int
) -> dict[str, Rounding]:
    """Returns how modules' weights are rounded to the 4-bit blocks that `QuantizeWeights` makes."""
    from bertcompress.train.fake_quant import round_blocks

    rounding: dict[str, Rounding] = {}
    for name in modules:
        weight = model.get_parameter(f"{name}.weight").detach().cpu().numpy()
        fitting = fitting_block_size(block_size, weight.shape[1])
        format_ = format_for(weight, bits=4, block_size=fitting)
        rounding[name] = partial(round_blocks, format_=format_)
    return rounding


def _is_better(epochs: Sequence[Epoch]) -> bool:
    """Says whether the held-out loss fell below that before training, where any was held out."""
    losses = [epoch.validation_loss for epoch in epochs]
    return not losses or min(losses[1:], default=losses[0]) < losses[0]


def _moved(
    table: CalibrationTable, ranges: Mapping[str, tuple[float, float]]
) -> tuple[MovedRange, ...]:
    """Returns each range before and after training, for the report."""
    return tuple(
        MovedRange(
            name,
            round(table.range_of(name).low, 4),
            round(low, 4),
            round(table.range_of(name).high, 4),
            round(high, 4),
        )
        for name, (low, high) in ranges.items()
    )
