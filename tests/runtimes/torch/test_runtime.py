"""Torch as a GPU runs it, on the CPU: buckets, recordings, packed texts, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.errors import MissingHardwareError, UsageError
from bertcompress.machine import gpus as nvidia
from bertcompress.machine.gpus import Gpu
from bertcompress.parity.outputs import compare_outputs, parity_feeds
from bertcompress.runtimes import open_runtime, why_unusable
from bertcompress.runtimes.torch.runtime import TorchRuntime, check_cuda
from bertcompress.runtimes.torch.settings import TORCH_RUNTIMES, TorchSettings

if TYPE_CHECKING:
    pass

HOPPER = Gpu("NVIDIA H100", (9, 0), 132, 80 << 30, (13, 0))


@pytest.mark.gpu
@pytest.mark.skipif(not nvidia.gpus(), reason="no NVIDIA GPU here")
@pytest.mark.parametrize("name", [one for one in TORCH_RUNTIMES if one != "torch-cpu"])
def test_a_gpu_answers_as_the_cpu_does(
    tiny_checkpoint: Callable[..., Checkpoint], name: str
) -> None:
    reason = why_unusable(name)
    if reason is not None:
        pytest.skip(reason)
    model = tiny_checkpoint().model
    feeds = parity_feeds(vocabulary=model.config.vocab_size, longest=100)
    with (
        TorchRuntime(model, threads=1) as first,
        TorchRuntime(model, threads=1, settings=TORCH_RUNTIMES[name]) as other,
    ):
        expected, got = [first.run(feed) for feed in feeds], [other.run(feed) for feed in feeds]
        again = [other.run(feed) for feed in feeds]
    found = compare_outputs(expected, got, feeds).figures
    bound = 1e-4 if name == "torch-cuda" else 0.2 * found.largest_output
    assert found.largest_difference < bound
    assert compare_outputs(got, again, feeds).figures.largest_difference == 0


def test_a_model_in_memory_stays_as_it_was(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    model = tiny_checkpoint().model
    settings = TorchSettings(dtype="bfloat16", packed=True)
    with TorchRuntime(model, threads=1, settings=settings):
        pass
    assert model.dtype == torch.float32
    assert "Packed" not in type(model.base_model.encoder).__name__


def test_a_gpu_is_asked_for_and_not_there(
    tiny_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvidia, "_driver", lambda: None)
    settings = TORCH_RUNTIMES["torch-cuda-fp16"]
    with (
        pytest.raises(MissingHardwareError, match="torch-cuda-fp16 needs an NVIDIA GPU, and its"),
        TorchRuntime(tiny_folder(), threads=1, settings=settings),
    ):
        pass


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch is made for CUDA")
def test_a_torch_without_cuda_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "gpus", lambda: (HOPPER,))
    with pytest.raises(MissingHardwareError, match="torch made for CUDA"):
        check_cuda("torch-cuda", TORCH_RUNTIMES["torch-cuda"])


def test_cuda_graphs_on_a_cpu_are_refused(tiny_folder: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="need the device cuda"):
        TorchRuntime(tiny_folder(), threads=1, settings=TorchSettings(graphs=True))


def test_the_name_says_the_settings(tiny_folder: Callable[..., Path]) -> None:
    for name, settings in TORCH_RUNTIMES.items():
        assert TorchRuntime(tiny_folder(), threads=1, settings=settings).name == name


def test_torch_gets_its_threads_back(tiny_folder: Callable[..., Path]) -> None:
    before = torch.get_num_threads()
    with open_runtime(tiny_folder(), threads=before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
