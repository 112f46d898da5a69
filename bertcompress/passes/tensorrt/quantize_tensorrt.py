"""INT8 and FP8 for TensorRT: explicit symmetric Q/DQ, and half precision for all the rest.

TensorRT 11 has no calibrator and no precision flags left: what a graph says is what runs. So this
pass writes all of it into the graph, from the table that ONNX Runtime's graphs are made from too:

* Both inputs of weight products are quantized: activations with one symmetric scale a tensor,
  weights INT8 with one an output channel (FP8: one a weight). No product's output is quantized.
* All other operators are FP16. Q/DQ pairs in a float32 graph run everything else in float32,
  which is why INT8 is so often slower than FP16. LayerNormalization sums in float32.
* Left in half precision: what `keep_float` names, products with fewer than 16 rows or columns of
  weights, and those with one row a text (pooler), which are products with a vector at batch 1.
* The two products inside attention are quantized only on request, and only where TensorRT fuses
  them: INT8 for texts of up to 512 tokens, FP8 for heads of 9 to 256.

Precision ``fp16`` and ``bf16`` quantize nothing: they are what INT8 has to be compared with on a
GPU, where float32 is no baseline.

**What is checked**, without a GPU and without TensorRT: the rules of
`bertcompress.graph.tensorrt.lint`, and the answers of the very graph in ONNX Runtime, operator by
operator, each result rounded to half precision (`bertcompress.graph.half.emulated`). No engine is
built, so nothing is known about speed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from bertcompress.artifacts.artifact import Kind, OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.bert.families import longest_text
from bertcompress.errors import ExportError, UsageError
from bertcompress.graph.attention_products import (
    AttentionNode,
    attention_nodes,
    attention_operands,
    split_attention,
)
from bertcompress.graph.edit import copy_of
from bertcompress.graph.half import emulated, to_half
from bertcompress.graph.products import HEADS
from bertcompress.graph.tensorrt.lint import lint
from bertcompress.graph.tensorrt.lint_facts import Finding
from bertcompress.graph.tensorrt.lower import lower, opset_of
from bertcompress.graph.tensorrt.symmetric_qdq import (
    EightBits,
    Scheme,
    activation_pair,
    quantize_products,
)
from bertcompress.graph.tensorrt.target import Target, target_named
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.quantize.audit import (
    CalibrationFacts,
    ProductPrecision,
    calibration_facts,
    check_patterns,
    drift_db,
    told_db,
)
from bertcompress.passes.ranges import Ranges
from bertcompress.passes.settings import Need, check_choice
from bertcompress.passes.tensorrt.plan import PlannedProduct, attention_reason, plan_products

if TYPE_CHECKING:
    import onnx

Precision = Literal["int8", "fp8", "fp16", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("int8", "fp8", "fp16", "bf16")
EXPORTED_OPSET = 23
"""What `ExportOnnx` writes, and what this pass lowers from."""


@dataclass(frozen=True)
class TensorrtDetails:
    """What the pass tells.

    Attributes:
        tensorrt: The versions that read the graph, its opset, and how they build it.
        checked: Where the graph was checked.
        precision: What became of each product.
        output_sqnr_db: The signal-to-noise ratio of the outputs; None if without noise.
        slow_widths: What is right but slow, in words.
        calibration: Where the ranges came from.
    """

    tensorrt: str
    checked: str
    precision: tuple[ProductPrecision, ...]
    output_sqnr_db: float | None
    slow_widths: str
    calibration: CalibrationFacts | None = None


@dataclass(frozen=True)
class QuantizeTensorrt(Pass[OnnxModel, OnnxModel]):
    """Quantizes a graph for TensorRT, or only turns it into half precision.

    Attributes:
        ranges: How the ranges are found; fp16 and bf16 need none.
        precision: ``int8``, ``fp8`` (E4M3; Ada, Hopper and newer), ``fp16`` or ``bf16``.
        target: The oldest TensorRT that must read the graph: ``10.14`` (also 11), ``10.0``,
            ``8.6`` or ``8.5``; see `bertcompress.graph.tensorrt.target`.
        attention: Whether the products inside attention are quantized too, where the gates allow
            it; a saved table needs their ranges (``calibrate --attention``).
        longest: The longest text that the engine will be built for, in tokens, which decides
            about INT8 attention; None for the model's own limit.
        keep_float: Modules that stay in half precision, names or patterns.
        seed: Draws the examples, and the inputs on which the drift is measured.
    """

    ranges: Ranges = field(default_factory=Ranges)
    precision: Precision = "int8"
    target: str = "10.14"
    attention: bool = False
    longest: int | None = None
    keep_float: tuple[str, ...] = HEADS
    seed: int = 0

    consumes: ClassVar[Kind] = "onnx"
    produces: ClassVar[Kind] = "onnx"

    def __post_init__(self) -> None:
        check_patterns(self.keep_float)
        check_choice("precision", self.precision, PRECISIONS)
        typed = target_named(self.target).strongly_typed
        if self.precision in ("fp8", "bf16") and not typed:
            raise UsageError(
                f"TensorRT {self.target} has no {self.precision} in its graphs; take the target "
                "10.0 or 10.14, or the precision int8"
            )
        if not self.quantizes:
            self.ranges.refuse(f"{self.precision}, which needs no ranges")
        if self.attention and not self.quantizes:
            raise UsageError(f"attention is for int8 and fp8; {self.precision} quantizes nothing")
        if self.longest is not None and self.longest < 1:
            raise UsageError(f"longest must be 1 or more tokens, got {self.longest}")

    @property
    def quantizes(self) -> bool:
        """Whether anything gets 8 bits."""
        return self.precision in ("int8", "fp8")

    @property
    def needs(self) -> tuple[Need, ...]:
        """Examples, unless the ranges are known or nothing is quantized."""
        return self.ranges.needs if self.quantizes else ()

    def check(self, context: Context) -> None:
        """Refuses a context without anything to find ranges on."""
        if self.quantizes:
            self.ranges.check(has_examples=context.has_examples)

    def identity(self, context: Context) -> dict[str, str]:
        """Adds the content of a saved table."""
        return {**super().identity(context), **self.ranges.identity()}

    def apply(self, model: OnnxModel, context: Context) -> tuple[OnnxModel, TensorrtDetails]:
        """Returns the graph for TensorRT.

        Raises:
            UsageError: If `keep_float` fits nothing, nothing is left to quantize, or the graph is
                not of opset 23.
            CalibrationError: If the table lacks a range, or is of other weights.
            ExportError: If the result breaks a rule of the lint.
            ParityError: If the answers collapsed.
        """
        target = target_named(self.target)
        if opset_of(model.graph) != EXPORTED_OPSET:
            raise UsageError(
                f"this graph is of opset {opset_of(model.graph)}; export it with opset "
                f"{EXPORTED_OPSET}, the default, which is lowered here for older TensorRTs"
            )
        context.progress("quantize", 0, 2)
        plan = plan_products(model, self.keep_float, quantizes=self.quantizes)
        table = self._table(model, context)
        graph = copy_of(model.graph)
        inside = self._quantize(graph, model, plan, table) if table is not None else {}
        lower(graph, target.opset)
        if target.strongly_typed:
            to_half(graph, "bfloat16" if self.precision == "bf16" else "float16")
        slow = self._lint(graph, target, plan, model)
        context.progress("quantize", 1, 2)
        ratio = drift_db(model, emulated(graph), seed=self.seed, as_written=True)
        details = TensorrtDetails(
            tensorrt=f"{target.versions}; opset {target.opset}; {target.build}",
            checked="by rules and in ONNX Runtime; no engine was built",
            precision=(*map(self._row, plan), *_inside_rows(inside, self.precision)),
            output_sqnr_db=told_db(ratio),
            slow_widths="; ".join(finding.sentence for finding in slow) or "none",
            calibration=calibration_facts(table) if table is not None else None,
        )
        context.progress("quantize", 2, 2)
        return replace(model, graph=graph), details

    def _table(self, model: OnnxModel, context: Context) -> CalibrationTable | None:
        if not self.quantizes:
            return None
        return context.ranges_of(model, self.ranges, seed=self.seed, attention=self.attention)

    def _quantize(
        self,
        graph: onnx.ModelProto,
        model: OnnxModel,
        plan: Sequence[PlannedProduct],
        table: CalibrationTable,
    ) -> dict[str, str]:
        """Inserts the pairs; returns why the products inside each attention are left alone."""
        half = np.float16 if target_named(self.target).strongly_typed else np.float32
        kind: EightBits = "fp8" if self.precision == "fp8" else "int8"
        scheme = Scheme(kind, half, stored=half is np.float16)
        inside = attention_nodes(graph) if self.attention else ()
        longest = self.longest or longest_text(model.config)
        reasons = {one.node: attention_reason(one, kind, longest) for one in inside}
        modules = {one.tensor: one.module for one in attention_operands(graph)} if inside else {}
        quantize_products(graph, [one.product for one in plan if one.quantized], table, scheme)
        chosen = [one for one in inside if not reasons[one.node]]
        ranges = _operand_ranges(chosen, modules, table)
        split_attention(
            graph, chosen, lambda name, tensor: activation_pair(graph, tensor, ranges[name], scheme)
        )
        return reasons

    def _lint(
        self,
        graph: onnx.ModelProto,
        target: Target,
        plan: Sequence[PlannedProduct],
        model: OnnxModel,
    ) -> tuple[Finding, ...]:
        """Returns what is only slow; fails if there is anything worse."""
        findings = lint(
            graph,
            target,
            quantized=[each.product.node for each in plan if each.quantized],
            longest=self.longest or longest_text(model.config),
        )
        errors = [each for each in findings if each.severity == "error"]
        if errors:
            raise ExportError(
                f"the graph breaks TensorRT's rules {len(errors)} times, first {errors[0].rule}: "
                f"{errors[0].sentence}; nothing was written"
            )
        return findings

    def _row(self, planned: PlannedProduct) -> ProductPrecision:
        rest = "bf16" if self.precision == "bf16" else "fp16"
        stored = self.precision if planned.quantized else rest
        return ProductPrecision(planned.product.module, stored, planned.reason)


def _inside_rows(inside: Mapping[str, str], precision: Precision) -> list[ProductPrecision]:
    return [
        ProductPrecision(node, "fp16" if reason else precision, reason)
        for node, reason in inside.items()
    ]


def _operand_ranges(
    nodes: Sequence[AttentionNode], modules: Mapping[str, str], table: CalibrationTable
) -> dict[str, float]:
    """Returns the largest absolute value of each operand of attention, by the operand's name."""
    ranges: dict[str, float] = {}
    for attention in nodes:
        for part, tensor, factor in (
            ("query", attention.query, attention.scale),
            ("key", attention.key, 1.0),
            ("value", attention.value, 1.0),
        ):
            known = table.range_of(modules[tensor])
            ranges[f"{attention.node}.{part}"] = factor * max(abs(known.low), abs(known.high))
        ranges[f"{attention.node}.probabilities"] = 1.0
    return ranges
