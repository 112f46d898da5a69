"""Eight bits need a GPU that has them, and torchao."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.errors import MissingDependencyError, MissingHardwareError
from bertcompress.runtimes.torch.eight_bits import check_capability, quantize_layers

if TYPE_CHECKING:
    pass


def test_fp8_needs_a_gpu_that_has_it() -> None:
    check_capability("fp8", (8, 9))
    check_capability("int8", (7, 5))
    with pytest.raises(MissingHardwareError, match=r"8\.9 or newer"):
        check_capability("fp8", (8, 0))


def test_torchao_missing_is_said(
    tiny_checkpoint: Callable[..., Checkpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torchao", None)
    monkeypatch.setitem(__import__("sys").modules, "torchao.quantization", None)
    with pytest.raises(MissingDependencyError, match=r"bertcompress\[torchao\]"):
        quantize_layers(tiny_checkpoint().model, "int8", capability=None)
