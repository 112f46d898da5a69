"""Which CPUs need weights of 7 bits, and that they get them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import numpy_helper

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.errors import UsageError
from bertcompress.machine.cpu import cpu_flags, saturates
from bertcompress.numerics.affine import S8_MAX, S8_REDUCED
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic


@pytest.mark.parametrize("kind", ["static", "portable", "dynamic"])
@pytest.mark.parametrize("target", ["avx2", "vnni", None])
def test_weights_keep_their_bits(
    kind: str,
    target: str | None,
    tiny_graph: Callable[..., OnnxModel],
    wide_ranges: Callable[[OnnxModel], CalibrationTable],
) -> None:
    if kind == "dynamic":
        made = QuantizeDynamic(target=target)(tiny_graph())
    else:
        static = QuantizeStatic(wide_ranges, portable=kind == "portable", target=target)
        made = static(tiny_graph())
    reduced = saturates(cpu_flags()) if target is None else target == "avx2"
    weights = [
        numpy_helper.to_array(one).astype(np.int64)
        for one in made.graph.graph.initializer
        if one.name.endswith(".weight_t.int8")
    ]
    assert len(weights) == 13
    largest = max(int(np.abs(one).max()) for one in weights)
    assert largest == (S8_REDUCED if reduced else S8_MAX)
    step = made.history[-1]
    assert step.details["weights"] == ("7 bits (no VNNI)" if reduced else "8 bits")
    assert step.details["made for"] == (target or "the CPU that it was made on")
    assert step.settings["target"] == target


def test_a_target_that_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'avx2'"):
        QuantizeDynamic(target="avx")
