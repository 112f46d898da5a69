"""Training that is cut short while a checkpoint is written, or on a full disk, goes on."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from transformers import Trainer

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.examples import Example
from bertcompress.passes.base import AnyPass
from bertcompress.passes.context import Context
from bertcompress.train.checkpoints import WHOLE, newest_whole
from bertcompress.train.distill_checkpoint import Recover
from bertcompress.train.finetune import Finetune

Train = Callable[[], dict[str, torch.Tensor]]
EPOCHS = 3
PARTS = ("_save_optimizer_and_scheduler", "_save_rng_state", "save_model")
"""Of the Trainer, in which a checkpoint is written; its state comes last."""


@pytest.fixture(params=["finetune", "recover"])
def train(
    request: pytest.FixtureRequest,
    tiny_checkpoint: Callable[..., Checkpoint],
    examples: Callable[..., tuple[Example, ...]],
    state: Path,
) -> Train:
    """Gives ``train()``: three epochs of two steps with its state, by each pass that trains so."""
    checkpoint, rows = tiny_checkpoint(), examples(count=16)

    def run() -> dict[str, torch.Tensor]:
        context = Context(
            rows, train=rows, validation=rows[:4], state=state, original=lambda: checkpoint
        )
        pass_: AnyPass = Finetune(epochs=EPOCHS, batch_size=8)
        if request.param == "recover":
            pass_ = Recover(epochs=EPOCHS, batch_size=8)
        made = pass_(tiny_checkpoint(), context)
        assert isinstance(made, Checkpoint)
        return made.model.state_dict()

    return run


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def cut_at(
    monkeypatch: pytest.MonkeyPatch, part: str, step: int, error: BaseException
) -> Callable[[], None]:
    """Lets the Trainer write half of a part of the checkpoint of that step, and raises."""
    save = getattr(Trainer, part)

    def cut(self: Trainer, output_dir: str, *rest: object, **named: object) -> object:
        result = save(self, output_dir, *rest, **named)
        if self.state.global_step == step:
            for path in Path(output_dir).iterdir():
                os.truncate(path, path.stat().st_size // 2)
            raise error
        return result

    monkeypatch.setattr(Trainer, part, cut)
    return lambda: monkeypatch.setattr(Trainer, part, save)


def steps_of(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collects the steps that are trained."""
    seen: list[int] = []
    step = Trainer.training_step

    def counted(self: Trainer, *given: object, **named: object) -> object:
        seen.append(self.state.global_step)
        return step(self, *given, **named)

    monkeypatch.setattr(Trainer, "training_step", counted)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("step", "first"), [(2, 0), (4, 2), (6, 4)])
def test_it_goes_on_from_the_checkpoint_before(
    part: str,
    step: int,
    first: int,
    train: Train,
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = train()
    shutil.rmtree(state)
    mend = cut_at(monkeypatch, part, step, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train()
    mend()
    steps = steps_of(monkeypatch)

    again = train()

    assert steps[0] == first
    for name, value in whole.items():
        torch.testing.assert_close(again[name], value, rtol=0, atol=1e-6)


def test_a_full_disk_is_told_and_it_goes_on(
    train: Train, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SafetensorError("Error while serializing: I/O error: No space left (os error 28)")
    mend = cut_at(monkeypatch, "save_model", 4, full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        train()
    mend()

    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in state.glob("checkpoint-*")] == ["checkpoint-2"]
    steps = steps_of(monkeypatch)
    train()
    assert steps[0] == 2


def test_torchs_words_for_a_full_disk_are_told_as_one(
    train: Train, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed")
    cut_at(monkeypatch, "_save_rng_state", 2, broken)
    with pytest.raises(RuntimeError, match="PytorchStreamWriter"):
        train()  # there is room, so it is something else

    usage = shutil._ntuple_diskusage(10**9, 10**9, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match="No space left on device"):
        train()


def test_one_that_can_not_be_begun_from_is_not_tried_again(
    train: Train, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mend = cut_at(monkeypatch, "save_model", 6, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train()
    mend()
    optimizer = state / "checkpoint-4" / "optimizer.pt"
    optimizer.write_bytes(b"x" * optimizer.stat().st_size)  # of the right size, and damaged
    with pytest.raises(pickle.UnpicklingError):
        train()
    steps = steps_of(monkeypatch)

    train()

    assert steps[0] == 2


def test_a_checkpoint_without_its_best_or_its_mark_is_removed(tmp_path: Path) -> None:
    for number in (2, 4, 6, 8):
        folder = tmp_path / f"checkpoint-{number}"
        folder.mkdir()
        best = tmp_path / "checkpoint-2" if number != 6 else tmp_path / "checkpoint-3"
        text = json.dumps({"best_model_checkpoint": str(best)})
        (folder / "trainer_state.json").write_text(text)
        if number != 8:
            (folder / WHOLE).write_text(json.dumps({"trainer_state.json": len(text)}))
    (tmp_path / "checkpoint-notes").mkdir()

    assert newest_whole(tmp_path) == tmp_path / "checkpoint-4"

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-2",
        "checkpoint-4",
        "checkpoint-notes",
    ]
