"""Which products get 8 bits, and the reason of each that does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import UsageError
from bertcompress.graph.attention_products import AttentionNode
from bertcompress.graph.tensorrt.symmetric_qdq import EightBits
from bertcompress.passes.tensorrt.plan import ASKED, attention_reason, plan_products
from fixtures.engines import NEEDS_TRANSFORMERS_5

Graphs = Callable[..., OnnxModel]


@pytest.mark.parametrize(
    ("kind", "head_size", "longest", "reason"),
    [
        ("int8", 32, 512, ""),
        ("int8", 32, 513, "texts of 513 tokens, past the 512 of INT8 attention"),
        ("fp8", 9, 600, ""),
        ("fp8", 8, 128, "heads of 8, FP8 attention takes 9 to 256"),
        ("fp8", 257, 128, "heads of 257, FP8 attention takes 9 to 256"),
        ("int8", 1, 128, "a product with a vector"),
        ("int8", 32, 1, "a product with a vector"),
    ],
)
def test_attention_stays_in_half_precision_for_a_reason(
    kind: EightBits, head_size: int, longest: int, reason: str
) -> None:
    node = AttentionNode("attention", "q", "k", "v", None, 4, 0.5, head_size)

    assert attention_reason(node, kind, longest) == reason


@NEEDS_TRANSFORMERS_5
def test_each_product_is_planned_once_with_its_reason(tiny_graph: Graphs) -> None:
    planned = plan_products(tiny_graph(), ("*.query",), quantizes=True)

    reasons = {it.product.module: it.reason for it in planned}
    assert len(reasons) == len(planned)
    assert reasons["bert.encoder.layer.0.attention.self.query"] == ASKED
    assert reasons["bert.encoder.layer.0.attention.self.key"] == ""
    assert reasons["bert.pooler.dense"] == "one row a text: a product with a vector at batch 1"
    assert [it.quantized for it in planned] == [not it.reason for it in planned]


@NEEDS_TRANSFORMERS_5
def test_nothing_is_quantized_where_nothing_is_to_be(tiny_graph: Graphs) -> None:
    planned = plan_products(tiny_graph(), (), quantizes=False)

    assert {it.reason for it in planned} == {"nothing is quantized"}


@NEEDS_TRANSFORMERS_5
def test_a_plan_without_a_quantized_product_is_an_error(tiny_graph: Graphs) -> None:
    layers = ("bert.encoder.*",)

    with pytest.raises(UsageError, match="nothing to quantize for TensorRT; take the precision"):
        plan_products(tiny_graph(), layers, quantizes=True)
