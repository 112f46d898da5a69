"""Why a product ran in float: what the steps say."""

from __future__ import annotations

import pytest

from bertcompress.artifacts.manifest import Step
from bertcompress.profiling.reasons import (
    ATTENTION,
    HEAD,
    NOT_QUANTIZED,
    reason_for,
)

EXPORT = Step("ExportOnnx", {"opset": 23}, 1.0, 10, None, 400, 400)
QUANTIZE = Step(
    "QuantizeStatic",
    {"keep_float": ["classifier", "l.1.*"]},
    1.0,
    None,
    None,
    400,
    120,
    details={
        "precision": [
            {"module": "l.0.query", "precision": "quantized"},
            {"module": "l.1.query", "precision": "float32"},
            {"module": "classifier", "precision": "float32"},
            {"module": "searched", "precision": "float32", "reason": "costs 0.4 points"},
            {"module": "nameless", "precision": "float32"},
        ]
    },
)


@pytest.mark.parametrize(
    ("module", "precision", "expected"),
    [
        ("l.0.query", "uint8 x int8", ""),
        ("l.0.query", "int8 x int4, block 32", ""),
        ("l.0.query", "float32", "quantized, but ort-cpu ran it in float"),
        ("l.1.query", "float32", "named in keep_float: l.1.*"),
        ("classifier", "float32", HEAD),
        ("searched", "float32", "costs 0.4 points"),
        ("nameless", "float32", "left in float by the step that quantized the others"),
        ("unknown", "float32", "the step QuantizeStatic does not name it"),
    ],
)
def test_the_reason_is_what_the_step_says(module: str, precision: str, expected: str) -> None:
    history = (EXPORT, QUANTIZE)
    found = reason_for(module, precision, history, is_attention=False, runtime="ort-cpu")
    assert found == expected


def test_attention_and_float_graphs_have_reasons_of_their_own() -> None:
    step = (EXPORT, QUANTIZE)
    assert reason_for("l.0", "float32", step, is_attention=True, runtime="x") == ATTENTION
    for attention in (True, False):
        found = reason_for("l.0", "float32", (EXPORT,), is_attention=attention, runtime="x")
        assert found == NOT_QUANTIZED
