"""What a runtime made of a graph: the operators it really runs.

The graph given here is the one that the runtime wrote after its own optimizations, so the counts
are of kernels, not of wishes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertcompress.graph.tidy import INTEGERS_SUFFIX, WEIGHT_SUFFIX

if TYPE_CHECKING:
    import onnx

INTEGER_KERNELS = (
    "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul",
    "MatMulInteger",
    "QLinearMatMul",
    "QGemm",
    "QAttention",
)
"""Products of two integer matrices."""

WEIGHT_ONLY_KERNELS = ("MatMulNBits",)
"""Products of a float activation with a weight of few bits."""

FUSED_KERNELS = {
    "attention": ("Attention", "MultiHeadAttention", "QAttention"),
    "skip_layer_norm": ("SkipLayerNormalization",),
    "gelu": ("Gelu", "BiasGelu", "FastGelu"),
}
"""Operators that stand for several of the model's; what the report counts."""

FLOAT_PRODUCTS = ("MatMul", "Gemm", "FusedMatMul", "FusedGemm")
"""Products of two float matrices."""


@dataclass(frozen=True)
class Kernels:
    """Counts of the operators that run.

    Attributes:
        integer: Integer matrix products, by kernel.
        weight_only: Products with packed weights, by kernel.
        fused: Fused operators by what they do (`FUSED_KERNELS`).
        float_products: The modules whose weight product runs in float.
        operators: All operators by type.
    """

    integer: dict[str, int]
    weight_only: dict[str, int]
    fused: dict[str, int]
    float_products: tuple[str, ...]
    operators: dict[str, int]

    @property
    def counts(self) -> dict[str, int]:
        """The number of each kernel and fusion, by the name that reports print."""
        return {
            **self.integer,
            **self.weight_only,
            **{name.replace("_", " "): count for name, count in self.fused.items()},
            "float weight products": len(self.float_products),
            "all operators": sum(self.operators.values()),
        }


def count_kernels(optimized: onnx.ModelProto) -> Kernels:
    """Counts the kernels of a graph as the runtime optimized it."""
    counts = Counter(node.op_type for node in optimized.graph.node)
    return Kernels(
        integer={name: counts[name] for name in INTEGER_KERNELS if counts[name]},
        weight_only={name: counts[name] for name in WEIGHT_ONLY_KERNELS if counts[name]},
        fused={what: sum(counts[name] for name in names) for what, names in FUSED_KERNELS.items()},
        float_products=_float_products(optimized),
        operators=dict(sorted(counts.items())),
    )


def _float_products(optimized: onnx.ModelProto) -> tuple[str, ...]:
    """Names the modules of float products, also of those with a weight that is dequantized."""
    weights = {t.name: t.name for t in optimized.graph.initializer if len(t.dims) == 2}
    for node in optimized.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in weights:
            weights[node.output[0]] = node.input[0].removesuffix(INTEGERS_SUFFIX)
    return tuple(
        weights[node.input[1]].removesuffix(WEIGHT_SUFFIX)
        for node in optimized.graph.node
        if node.op_type in FLOAT_PRODUCTS and node.input[1] in weights
    )
