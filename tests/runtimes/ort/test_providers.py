"""ONNX Runtime on a GPU, as far as a CPU can tell: options, refusals, placement, bound tensors."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.errors import (
    RunError,
    UsageError,
)
from bertcompress.runtimes.ort.providers import ProviderSettings, ShapeRange


def test_options_of_cuda_and_tensorrt(tmp_path: Path) -> None:
    assert ProviderSettings("cuda", graphs=True).options(["input_ids"]) == [
        ("CUDAExecutionProvider", {"device_id": "0", "use_tf32": "0", "enable_cuda_graph": "1"})
    ]
    shapes = ShapeRange((1, 2), (8, 64), (32, 128))
    settings = ProviderSettings("tensorrt", shapes=shapes, cache=tmp_path)
    (name, options), (second, _) = settings.options(["input_ids", "attention_mask"], {"fp16"})
    assert (name, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert options["trt_profile_min_shapes"] == "input_ids:1x2,attention_mask:1x2"
    assert options["trt_profile_opt_shapes"] == "input_ids:8x64,attention_mask:8x64"
    assert options["trt_profile_max_shapes"] == "input_ids:32x128,attention_mask:32x128"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path)
    assert options["trt_fp16_enable"] == "1"
    assert not any("calibration" in one or "int8" in one for one in options)
    with pytest.raises(RunError, match="1 to 32 texts of 2 to 128 tokens, got 33 of 64"):
        settings.check_shape((33, 64))
    settings.check_shape((32, 128))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"provider": "gpu"}, "provider must be one of"),
        ({"provider": "cpu", "graphs": True}, "recorded with the provider cuda"),
        ({"provider": "tensorrt"}, "cache folder"),
    ],
)
def test_settings_that_can_not_be_meant(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        ProviderSettings(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_a_range_of_shapes_is_ordered() -> None:
    with pytest.raises(UsageError, match="none smaller than the one before"):
        ShapeRange((2, 1), (1, 16), (8, 128))
