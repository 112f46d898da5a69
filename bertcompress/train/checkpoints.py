"""The Trainer's checkpoints: which of them are whole, and what to do about one that is not.

The Trainer writes a checkpoint file by file into its place, and a process may be killed, or the
disk full, in between. So a file with the sizes of all the others is written last.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertcompress.files import write_whole

if TYPE_CHECKING:
    from transformers import Trainer

WHOLE = "bertcompress-whole.json"
_STATE = "trainer_state.json"
_NUMBER = re.compile(r"checkpoint-(\d+)")
_OS_ERROR = re.compile(r"os error (\d+)")
_ROOM_BYTES = 1 << 20


def mark_whole() -> Any:
    """Returns the callback that writes a checkpoint's sizes once the Trainer has written it."""
    from transformers import TrainerCallback

    class Mark(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_whole(folder / WHOLE, json.dumps(_sizes(folder)).encode())

    return Mark()


def newest_whole(folder: Path) -> Path | None:
    """Returns the newest whole checkpoint, None if there is none; removes those that are not.

    One whose best checkpoint is gone is of no use either: its model could not be loaded at the end.
    """
    numbered = ((match, path) for path in folder.iterdir() if (match := _match(path)) is not None)
    newest = None
    for _, path in sorted((int(match[1]), path) for match, path in numbered):
        if _is_whole(path) and _has_best(path):
            newest = path
        else:
            shutil.rmtree(path, ignore_errors=True)
    return newest


@contextmanager
def training(trainer: Trainer, folder: Path, checkpoint: Path | None) -> Iterator[None]:
    """Leaves only whole checkpoints behind if training fails, and none that it can't begin from.

    Args:
        trainer: What trains in the block.
        folder: Where its checkpoints are.
        checkpoint: The one that it begins from, if any.

    Raises:
        OSError: A checkpoint can't be written, whatever torch or safetensors called it.
    """
    from safetensors import SafetensorError
    from transformers import TrainerCallback

    begun = False

    class Begin(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            nonlocal begun
            begun = True

    trainer.add_callback(Begin())
    try:
        yield
    except Exception as error:
        full = shutil.disk_usage(folder).free < _ROOM_BYTES
        newest_whole(folder)
        if checkpoint is not None and not begun:
            shutil.rmtree(checkpoint, ignore_errors=True)
        number = _OS_ERROR.search(str(error)) if isinstance(error, SafetensorError) else None
        code = int(number[1]) if number else errno.ENOSPC
        if number or (full and isinstance(error, RuntimeError)):  # torch has no words for it
            raise OSError(code, os.strerror(code), str(folder)) from error
        raise


def _match(path: Path) -> re.Match[str] | None:
    return _NUMBER.fullmatch(path.name) if path.is_dir() else None


def _sizes(folder: Path) -> dict[str, int]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != WHOLE)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _is_whole(folder: Path) -> bool:
    try:
        marked = json.loads((folder / WHOLE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(marked == _sizes(folder))


def _has_best(folder: Path) -> bool:
    state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    best = state.get("best_model_checkpoint")
    return best is None or _is_whole(Path(best))
