"""Torch as a GPU runs it, on the CPU: buckets, recordings, packed texts, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.errors import MissingDependencyError, MissingHardwareError, UsageError
from bertcompress.machine import gpus as nvidia
from bertcompress.machine.gpus import Gpu
from bertcompress.parity.outputs import compare_outputs, parity_feeds
from bertcompress.runtimes import why_unusable
from bertcompress.runtimes.torch.eight_bits import check_capability, quantize_layers
from bertcompress.runtimes.torch.graphs import EagerRecorder
from bertcompress.runtimes.torch.runtime import TorchRuntime, check_cuda
from bertcompress.runtimes.torch.settings import TORCH_RUNTIMES, TorchSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HOPPER = Gpu("NVIDIA H100", (9, 0), 132, 80 << 30, (13, 0))
TASKS = (
    "text-classification",
    "token-classification",
    "question-answering",
    "feature-extraction",
)


def _difference(model: PreTrainedModel, settings: TorchSettings) -> tuple[float, EagerRecorder]:
    feeds = parity_feeds(vocabulary=model.config.vocab_size, longest=100)
    recorder = EagerRecorder()
    with (
        TorchRuntime(model, threads=1) as first,
        TorchRuntime(model, threads=1, settings=settings, recorder=lambda: recorder) as other,
    ):
        assert first.outputs == other.outputs
        expected, got = [first.run(feed) for feed in feeds], [other.run(feed) for feed in feeds]
    return compare_outputs(expected, got, feeds).max_difference, recorder


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
    found = compare_outputs(expected, got, feeds)
    assert found.max_difference < (1e-4 if name == "torch-cuda" else 0.2 * found.magnitude)
    assert compare_outputs(got, again, feeds).max_difference == 0


@pytest.mark.parametrize("task", TASKS)
def test_recorded_buckets_answer_as_the_model_does(
    tiny_checkpoint: Callable[..., Checkpoint], task: str
) -> None:
    difference, recorder = _difference(tiny_checkpoint(task=task).model, TorchSettings(graphs=True))
    assert difference < 1e-5
    assert len(set(recorder.shapes)) == len(recorder.shapes)  # each shape once
    assert (4, 16) in recorder.shapes  # 3 texts of 7 tokens
    assert (1, 128) in recorder.shapes  # 1 text of 100


@pytest.mark.parametrize("task", TASKS)
def test_packed_texts_answer_as_padded_ones_do(
    tiny_checkpoint: Callable[..., Checkpoint], task: str
) -> None:
    difference, _ = _difference(tiny_checkpoint(task=task).model, TorchSettings(packed=True))
    assert difference < 1e-5


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


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"device": "gpu"}, "cpu or cuda"),
        ({"dtype": "float8"}, "dtype must be one of"),
        ({"eight_bits": "int4"}, "int8 or fp8"),
        ({"packed": True, "graphs": True}, "another number of tokens"),
        ({"packed": True, "device": "cuda"}, "float16 or bfloat16"),
    ],
)
def test_settings_that_can_not_be_meant(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        TorchSettings(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_cuda_graphs_on_a_cpu_are_refused(tiny_folder: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="need the device cuda"):
        TorchRuntime(tiny_folder(), threads=1, settings=TorchSettings(graphs=True))


def test_the_name_says_the_settings(tiny_folder: Callable[..., Path]) -> None:
    for name, settings in TORCH_RUNTIMES.items():
        assert TorchRuntime(tiny_folder(), threads=1, settings=settings).name == name


def test_a_checkpoint_saved_runs_packed(
    tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    folder = save(tiny_checkpoint(), tmp_path / "saved")
    settings = TorchSettings(packed=True, dtype="bfloat16")
    with TorchRuntime(folder, threads=1, settings=settings) as runtime:
        ids = np.asarray([[2, 90, 3]])
        feed = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        assert runtime.run(feed)["logits"].dtype == np.float32
