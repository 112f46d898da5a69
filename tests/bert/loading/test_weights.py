"""Weights are read as they are, in float32; what is damaged, missing or code is refused."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.bert.loading.load import load
from fixtures.loading import checkpoint, refusal

Answer = Callable[[PreTrainedModel, Mapping[str, torch.Tensor]], torch.Tensor]
Inputs = dict[str, torch.Tensor]


def as_pickle(folder: Path, extra: object = None) -> Path:
    weights: dict[str, object] = dict(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    if extra is not None:
        weights["extra"] = extra
    torch.save(weights, folder / "pytorch_model.bin")
    return folder


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_become_float32(
    copy_of: Callable[..., Path], tmp_path: Path, dtype: torch.dtype
) -> None:
    folder = copy_of(dtype=str(dtype).removeprefix("torch."))
    file = folder / "model.safetensors"
    halves = {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
    save_file(halves, file, metadata={"format": "pt"})

    artifact = checkpoint(folder)
    save(artifact, tmp_path / "out")

    state = artifact.model.state_dict()
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    assert all(torch.equal(state[name], tensor.float()) for name, tensor in halves.items())
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float32"


def test_pickled_weights_load_as_tensors(
    copy_of: Callable[..., Path],
    tiny_checkpoint: Callable[..., Checkpoint],
    inputs: Inputs,
    answer: Answer,
) -> None:
    folder = as_pickle(copy_of())

    found = answer(checkpoint(folder).model, inputs)

    assert torch.equal(found, answer(tiny_checkpoint().model, inputs))


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def test_pickled_code_is_refused_and_not_run(copy_of: Callable[..., Path], tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    folder = as_pickle(copy_of(), Malicious(trace))

    message = refusal(lambda: load(folder))

    assert "hold more than tensors" in message
    assert "model.safetensors" in message
    assert not trace.exists()


def test_an_old_style_pickle_is_refused_and_not_run(
    copy_of: Callable[..., Path], tmp_path: Path
) -> None:
    trace = tmp_path / "ran"
    folder = copy_of()
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Malicious(trace)))

    message = refusal(lambda: load(folder))

    assert "hold more than tensors" in message
    assert not trace.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("length", [0, 4, 3000])
def test_weights_that_are_cut_off_are_refused(
    copy_of: Callable[..., Path], name: str, length: int
) -> None:
    folder = copy_of()
    if name.endswith(".bin"):
        as_pickle(folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:length])

    message = refusal(lambda: load(folder))

    assert f"weights of {folder}" in message
    assert "damaged" in message


def test_a_folder_without_weights_is_refused(copy_of: Callable[..., Path]) -> None:
    folder = copy_of()
    (folder / "model.safetensors").unlink()

    assert "no file named" in refusal(lambda: load(folder))


def test_a_file_without_the_heads_weights_is_refused(copy_of: Callable[..., Path]) -> None:
    folder = copy_of()
    file = folder / "model.safetensors"
    weights = {n: tensor for n, tensor in load_file(file).items() if "classifier" not in n}
    save_file(weights, file, metadata={"format": "pt"})

    message = refusal(lambda: load(folder))

    assert "lacks 2 weights that text-classification needs, the first is classifier.bias" in message
