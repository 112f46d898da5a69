"""The graph in half precision, FP16 or BF16: what everything else on a GPU is compared with.

On tensor cores a float16 product takes half the time of a float32 one rounded to TF32, and a tenth
of a true float32 one, so 8 bits have to beat this graph and not the float32 one. All weights and
all operators become half; sums do not: matrix products and softmax add up in float32 inside their
kernels, LayerNormalization by its attribute ``stash_type``. Inputs stay integers and outputs
float32, so the graph takes the place of the one it was made from.

    type       bits of the fraction   largest value
    float16    10                     65 504
    bfloat16    7                     3.4e38, as float32

The answers are checked operator by operator, each result rounded as the hardware rounds it
(`bertcompress.graph.half.emulated`); ONNX Runtime on the CPU would compute in float32 instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from bertcompress.artifacts.artifact import Kind, OnnxModel
from bertcompress.errors import UsageError, did_you_mean
from bertcompress.graph.edit import copy_of
from bertcompress.graph.half import HalfKind, emulated, to_half
from bertcompress.graph.kernels import INTEGER_KERNELS, WEIGHT_ONLY_KERNELS
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.quantize.audit import drift_db, told_db

HalfPrecision = Literal["fp16", "bf16"]
HALVES: dict[HalfPrecision, HalfKind] = {"fp16": "float16", "bf16": "bfloat16"}

_QUANTIZED = {
    *INTEGER_KERNELS,
    *WEIGHT_ONLY_KERNELS,
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
}


@dataclass(frozen=True)
class HalvingDetails:
    """What halving tells.

    Attributes:
        checked: Where the answers were compared.
        output_sqnr_db: The signal-to-noise ratio of the outputs, decibels; None if without noise.
    """

    checked: str = "in ONNX Runtime, each result rounded to half"
    output_sqnr_db: float | None = None


@dataclass(frozen=True)
class HalvePrecision(Pass[OnnxModel, OnnxModel]):
    """Turns a float32 graph into one of half precision.

    Attributes:
        precision: ``fp16``, or ``bf16`` for models with values that float16 can't hold.
        seed: Draws the inputs on which the drift is measured.
    """

    precision: HalfPrecision = "fp16"
    seed: int = 0

    consumes: ClassVar[Kind] = "onnx"
    produces: ClassVar[Kind] = "onnx"

    def __post_init__(self) -> None:
        if self.precision not in HALVES:
            raise UsageError(
                f"precision must be {' or '.join(HALVES)}, got {self.precision!r}"
                f"{did_you_mean(str(self.precision), HALVES)}"
            )

    def apply(self, model: OnnxModel, context: Context) -> tuple[OnnxModel, HalvingDetails]:
        """Returns the graph in half precision.

        Raises:
            UsageError: If the graph is quantized.
            ExportError: If a weight is too large for float16.
            ParityError: If the answers collapsed.
        """
        if {node.op_type for node in model.graph.graph.node} & _QUANTIZED:
            raise UsageError(
                "this graph is quantized; make half precision of the float graph that it came "
                "from, or quantize that one for TensorRT, whose graphs are half precision besides"
            )
        progress = context.progress
        progress("halve", 0, 2)
        graph = copy_of(model.graph)
        to_half(graph, HALVES[self.precision])
        progress("halve", 1, 2)
        ratio = drift_db(model, emulated(graph), seed=self.seed, as_written=True)
        progress("halve", 2, 2)
        return replace(model, graph=graph), HalvingDetails(output_sqnr_db=told_db(ratio))
