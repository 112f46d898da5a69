"""Which products TensorRT gets in 8 bits, and why the others stay in half precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertcompress.errors import UsageError
from bertcompress.graph.attention_products import AttentionNode
from bertcompress.graph.products import WeightProduct, rank_of
from bertcompress.graph.tensorrt.lint_qdq import FP8_HEADS, LONGEST_INT8, SMALLEST
from bertcompress.graph.tensorrt.symmetric_qdq import EightBits
from bertcompress.passes.quantize.audit import split_products

if TYPE_CHECKING:
    import onnx

    from bertcompress.artifacts.artifact import OnnxModel

ASKED = "keep_float names it"


@dataclass(frozen=True)
class PlannedProduct:
    """One weight product, and what becomes of it.

    Attributes:
        product: Which.
        reason: Why it stays in half precision; empty if it is quantized.
    """

    product: WeightProduct
    reason: str

    @property
    def quantized(self) -> bool:
        """Whether it gets 8 bits."""
        return not self.reason


def plan_products(
    model: OnnxModel, keep_float: tuple[str, ...], *, quantizes: bool
) -> tuple[PlannedProduct, ...]:
    """Decides about all weight products of a float graph.

    Args:
        model: The graph.
        keep_float: Names or patterns that stay in half precision.
        quantizes: Whether anything is to be quantized at all.

    Raises:
        UsageError: If a pattern fits no product, or nothing is left to quantize.
    """
    candidates, stay = split_products(model, keep_float)
    if not quantizes:
        return tuple(
            PlannedProduct(product, "nothing is quantized") for product in (*candidates, *stay)
        )
    sizes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.graph.initializer}
    planned = [
        PlannedProduct(product, _reason(model.graph, product, sizes[product.weight]))
        for product in candidates
    ]
    if not any(product.quantized for product in planned):
        raise UsageError(
            f"no product of this graph has {SMALLEST} rows and columns of weights and more than "
            "one row a text, so there is nothing to quantize for TensorRT; take the precision fp16"
        )
    return (*planned, *(PlannedProduct(product, ASKED) for product in stay))


def attention_reason(node: AttentionNode, kind: EightBits, longest: int) -> str:
    """Returns why a product of activations stays in half precision, or an empty text.

    Source: ``find_nodes_from_mha_to_exclude`` in NVIDIA's Model-Optimizer.
    """
    if kind == "int8" and longest > LONGEST_INT8:
        return f"texts of {longest} tokens, past the {LONGEST_INT8} of INT8 attention"
    if kind == "fp8" and not FP8_HEADS[0] <= node.head_size <= FP8_HEADS[1]:
        return f"heads of {node.head_size}, FP8 attention takes {FP8_HEADS[0]} to {FP8_HEADS[1]}"
    if node.head_size == 1 or longest == 1:
        return "a product with a vector"
    return ""


def _reason(graph: onnx.ModelProto, product: WeightProduct, size: tuple[int, ...]) -> str:
    if min(size) < SMALLEST:
        return f"weight of {size[0]} × {size[1]}, below {SMALLEST}"
    if rank_of(graph, product.tensor) == 2:
        return "one row a text: a product with a vector at batch 1"
    return ""
