"""INT8 with ranges found at run time: no calibration, the fastest on short texts.

Each activation's range is taken over the whole batch as it comes, so an answer can differ in the
last digits with what else is in its batch; `QuantizeStatic` has no such effect.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from bertcompress.artifacts.artifact import Kind, OnnxModel
from bertcompress.graph.edit import drop_unused_initializers, import_ort_domain, replace_nodes
from bertcompress.graph.for_onnxruntime import shaped_for_onnxruntime
from bertcompress.graph.integer.embeddings import quantize_embeddings
from bertcompress.graph.integer.integer_products import (
    bias_additions,
    inputs_now,
    scaled_product,
    self_scaling_product,
)
from bertcompress.graph.products import HEADS, WeightProduct
from bertcompress.machine.cpu import target_flags
from bertcompress.numerics.affine import S8_MAX
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.quantize.audit import (
    QuantizationDetails,
    audited,
    check_patterns,
    largest_weight,
    made_for,
    split_products,
    weight_bits,
)

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class QuantizeDynamic(Pass[OnnxModel, OnnxModel]):
    """Quantizes weights to 8 bits, and activations as they come.

    Attributes:
        embeddings: Whether the embedding tables become INT8 too.
        keep_float: Modules that stay in float, names or patterns.
        target: The machine it is made for, one of `bertcompress.machine.cpu.TARGETS`: weights keep
            7 bits for x64 without VNNI. None for this CPU.
        seed: Draws the inputs on which the drift is measured.
    """

    embeddings: bool = True
    keep_float: tuple[str, ...] = HEADS
    target: str | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "onnx"
    produces: ClassVar[Kind] = "onnx"

    def __post_init__(self) -> None:
        check_patterns(self.keep_float)
        target_flags(self.target)

    def apply(self, model: OnnxModel, context: Context) -> tuple[OnnxModel, QuantizationDetails]:
        """Returns the quantized graph; raises as `QuantizeStatic` does, without calibration."""
        quantized, stay = split_products(model, self.keep_float)
        context.progress("quantize", 0, 2)
        graph = shaped_for_onnxruntime(model.graph)
        quantize_products(graph, quantized, largest=largest_weight(self.target))
        tables = quantize_embeddings(graph) if self.embeddings else ()
        context.progress("quantize", 1, 2)
        details = replace(
            audited(model, graph, quantized=quantized, stay=stay, seed=self.seed),
            weights=weight_bits(self.target),
            made_for=made_for(self.target),
            int8_embedding_tables=", ".join(tables) or "none",
        )
        context.progress("quantize", 2, 2)
        return replace(model, graph=graph), details


def quantize_products(
    graph: onnx.ModelProto, products: tuple[WeightProduct, ...], *, largest: int = S8_MAX
) -> None:
    """Makes the products integer ones, in place; a tensor that several read is quantized once.

    Args:
        graph: Shaped for ONNX Runtime.
        products: Those of the graph before it was shaped.
        largest: The integer of the largest weight.
    """
    present = inputs_now(graph, products)
    readers = Counter(product.tensor for product in present)
    biases = bias_additions(graph, products)
    replacements: dict[str, list[onnx.NodeProto]] = {}
    quantized: set[str] = set()
    for product in present:
        addition = biases.get(product.node)
        if readers[product.tensor] == 1:
            replacements[product.node] = [
                self_scaling_product(graph, product, addition, largest=largest)
            ]
            continue
        integers, quantization = _quantized(product.tensor)
        new = [] if product.tensor in quantized else [quantization]
        quantized.add(product.tensor)
        replacements[product.node] = [
            *new,
            scaled_product(graph, product, integers, addition, largest=largest),
        ]
    replacements |= {addition.name: [] for addition in biases.values()}
    replace_nodes(graph, replacements)
    drop_unused_initializers(graph)
    import_ort_domain(graph)


def _quantized(tensor: str) -> tuple[tuple[str, str, str], onnx.NodeProto]:
    """Returns the names of a tensor's integers, scale and zero point, and what makes them."""
    from onnx import helper

    names = (f"{tensor}.q", f"{tensor}.scale", f"{tensor}.zero_point")
    return names, helper.make_node("DynamicQuantizeLinear", [tensor], names, names[0])
