"""What is asked of quantizing, as a pass."""

from __future__ import annotations

import pytest

from bertcompress.errors import UsageError
from bertcompress.graph.products import HEADS
from bertcompress.passes.base import AnyPass
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.passes.ranges import Ranges
from bertcompress.recipes.quantize_recipe import QuantizeOptions, quantize_pass
from bertcompress.search.fastest_int8 import QuantizeBest
from bertcompress.search.latency_table import Timing


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (QuantizeOptions(), QuantizeBest(seed=3)),
        (
            QuantizeOptions(method="best", max_drop=0.01, length=16, threads=2, ranges="mse"),
            QuantizeBest(Ranges("mse"), Timing(16, 2), max_drop=0.01, seed=3),
        ),
        (
            QuantizeOptions(method="static", samples=9, keep_float=("pooler",), target="vnni"),
            QuantizeStatic(Ranges(samples=9), keep_float=(*HEADS, "pooler"), target="vnni", seed=3),
        ),
        (QuantizeOptions(table="t"), QuantizeStatic(Ranges(table="t"), seed=3)),
        (
            QuantizeOptions(method="dynamic", embeddings=False),
            QuantizeDynamic(embeddings=False, seed=3),
        ),
        (
            QuantizeOptions(bits=4, block_size=64, samples=8),
            QuantizeWeights(block_size=64, samples=8, seed=3),
        ),
        (QuantizeOptions(target_size=9000), QuantizeWeights(target_size=9000, seed=3)),
    ],
)
def test_one_pass_for_each_way(asked: QuantizeOptions, expected: AnyPass) -> None:
    assert quantize_pass(asked, seed=3) == expected


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (QuantizeOptions(bits=7), "bits must be 8 or 4, got 7"),
        (QuantizeOptions(method="statik"), "method must be best, static or dynamic, got 'statik'"),
        (QuantizeOptions(rounding="hqq"), "type --bits 4 or leave them out"),
        (QuantizeOptions(bits=4, method="static"), "which need no method and no ranges"),
        (QuantizeOptions(target_size=9, table="t"), "which need no method and no ranges"),
        (QuantizeOptions(method="dynamic", samples=3), "leave --ranges, --samples, --table"),
        (QuantizeOptions(bits=4, max_drop=0.1), "max-drop is for the search of the fastest INT8"),
        (QuantizeOptions(method="static", length=9), "at-length is for the search"),
        (QuantizeOptions(table="t", threads=2), "threads is for the search"),
        (QuantizeOptions(target="vnni"), "target is for --method static or dynamic"),
    ],
)
def test_what_can_not_be_meant(asked: QuantizeOptions, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        quantize_pass(asked)
