"""Whose product an operator of a compiled graph is, on compiled graphs written by hand."""

from __future__ import annotations

from bertcompress.profiling.openvino_products import products_of
from bertcompress.runtimes.openvino.runtime import RanOperator

Inputs = tuple[tuple[str, str], ...]


def ran(name: str, kind: str, inputs: Inputs = (), stands_for: tuple[str, ...] = ()) -> RanOperator:
    return RanOperator(name, kind, "kernel", stands_for, inputs, 1e-6)


def constant(name: str) -> RanOperator:
    return RanOperator(name, "Constant", "", (), (), None)


def test_a_weight_is_followed_back_to_its_constant() -> None:
    compiled = [
        constant("layer.0.query.weight_t/int8"),
        ran("convert", "Convert", (("layer.0.query.weight_t/int8", "i8"),)),
        ran("fc", "FullyConnected", (("x", "u8"), ("convert", "i8"))),
        ran("ln", "MVN", (("fc", "f32"), ("fc", "f32"))),
    ]

    assert products_of(compiled, {}) == {"fc": ("layer.0.query", "uint8 x int8", False)}


def test_a_constant_without_a_name_leaves_what_the_product_stands_for() -> None:
    inputs = (("x", "bf16"), ("constant_17", "bf16"))
    compiled = [
        constant("constant_17"),
        ran("fused", "FullyConnected", inputs, ("add", "product")),
        ran("unknown", "MatMul", (("x", "f32"), ("y", "f32"))),
    ]

    found = products_of(compiled, {"product": "layer.1.dense"})

    assert found == {
        "fused": ("layer.1.dense", "bfloat16", False),
        "unknown": ("unknown", "float32", False),
    }


def test_attention_is_called_by_the_product_that_made_its_first_input() -> None:
    attention = ("ScaledDotProductAttention_3",)
    compiled = [
        ran("q", "FullyConnected", (("x", "f32"), ("layer.0.self.query.weight_t", "f32"))),
        ran("q.heads", "Reshape", (("q", "f32"),)),
        ran("sdpa", "MHA", (("q.heads", "f32"), ("k", "f32")), attention),
        ran("lost", "Subgraph", (("x", "f32"), ("k", "f32")), attention),
        ran("plain", "Subgraph", (("x", "f32"), ("k", "f32"))),  # of something else
    ]

    found = products_of(compiled, {})

    assert found["sdpa"] == ("layer.0.self", "float32", True)
    assert found["lost"] == ("lost", "float32", True)
    assert set(found) == {"q", "sdpa", "lost"}


def test_what_did_not_run_is_no_product() -> None:
    folded = RanOperator("fc", "FullyConnected", "", (), (("x", "f32"), ("w", "f32")), None)

    assert products_of([folded], {}) == {}
