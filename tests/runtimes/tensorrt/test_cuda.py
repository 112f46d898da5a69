"""The GPU through torch: what it is, its driver, and its failures as sentences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from bertcompress.errors import (
    MissingError,
    RunError,
)
from bertcompress.runtimes.tensorrt.cuda import driver_branch, gpu_facts
from bertcompress.runtimes.tensorrt.runtime import TensorRtRuntime
from fixtures.feeds import feed_of

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)


Made = Callable[..., tuple[Path, Any]]


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch has CUDA")
def test_a_torch_without_cuda_says_what_to_install() -> None:
    with pytest.raises(MissingError, match=r"pip install torch --index-url https://download"):
        gpu_facts()


def test_failures_of_the_gpu_are_said(engine: Made) -> None:
    folder, trt = engine()
    with TensorRtRuntime(folder) as runtime:
        trt.torch.cuda.broken = "an illegal memory access was encountered\nmore"
        with pytest.raises(RunError, match=r"illegal memory access.*start the process again"):
            runtime.run(feed_of(1, 3))
        trt.torch.cuda.broken = ""
        trt.torch.cuda.uncapturable = True
        with pytest.raises(RunError, match=r"can't be captured as a CUDA graph.*graphs=0"):
            runtime.run(feed_of(1, 3))


def test_the_drivers_branch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "version"
    monkeypatch.setattr("bertcompress.runtimes.tensorrt.cuda.DRIVER_FILE", file)
    assert driver_branch() == "unknown"
    file.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar 5\n")
    assert driver_branch() == "550"
    file.write_text("nothing")
    assert driver_branch() == "unknown"
