"""Peers are opened by their library, and what can't be is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bench.peer_folder import FILES, Opening
from bertcompress.bench.worker.peer_runners import open_peer
from bertcompress.errors import RunError
from bertcompress.runtimes.torch.runtime import TorchRuntime
from bertcompress.runtimes.torch.settings import TorchSettings


def test_converting_a_model_in_memory_leaves_it_as_it_was(
    tiny_checkpoint: Callable[..., Checkpoint],
) -> None:
    import torch

    model = tiny_checkpoint().model
    with TorchRuntime(model, threads=1, settings=TorchSettings(dtype="bfloat16")):
        pass

    assert next(model.parameters()).dtype == torch.float32


def test_an_unknown_library_is_an_error(tmp_path: Path) -> None:
    Opening("abacus").write(tmp_path)

    with pytest.raises(RunError, match="'abacus', which no runner knows"):
        open_peer(tmp_path, threads=1)


def test_a_model_without_a_known_head_is_an_error(tmp_path: Path) -> None:
    Opening("ctranslate2", architecture="BertForPreTraining").write(tmp_path)

    with pytest.raises(RunError, match="it has no head for BertForPreTraining"):
        open_peer(tmp_path, threads=1)


def test_torch_opens_a_peer_in_its_own_type(
    tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    Opening("torch", dtype="bfloat16").write(tmp_path)
    (tmp_path / FILES).symlink_to(tiny_folder())
    ids = np.arange(5, 12).reshape(1, 7)
    feed = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}

    with open_peer(tmp_path, threads=1) as runtime:
        logits = runtime.run({name: feed[name] for name in runtime.input_names})["logits"]

    assert isinstance(runtime, TorchRuntime)
    assert (logits.dtype, logits.shape) == (np.float32, (1, 2))
