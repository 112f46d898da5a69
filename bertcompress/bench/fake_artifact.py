"""An artifact that answers by arithmetic, for tests of the harness itself.

A folder with ``fake.json`` and the runtime name ``fake`` stand where an artifact and a real
runtime would: the measuring process is then the real one in all but the model. Nothing chooses
this runtime by itself; it has to be named.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import RunError
from bertcompress.runtimes.base import Arrays, FakeRuntime

FILE_NAME = "fake.json"


@dataclass(frozen=True)
class FakeArtifact:
    """How the fake behaves.

    Attributes:
        labels: Classes in the ``logits``, float32 ``[batch, labels]``.
        seconds: Each run sleeps so long, and as long again for each 100 positions of its input.
        shift: Added to the class index, so that two fakes disagree; in examples out of ten.
        fail_load: The sentence that loading fails with.
        fail_run: The sentence that running fails with.
        die: Whether a run ends the process, as a crash in native code would.
    """

    labels: int = 2
    seconds: float = 0.0
    shift: int = 0
    fail_load: str = ""
    fail_run: str = ""
    die: bool = False


def write_fake(folder: Path, fake: FakeArtifact) -> Path:
    """Writes the folder and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).write_text(json.dumps(asdict(fake)) + "\n", encoding="utf-8")
    return folder


def open_fake(folder: Path) -> FakeRuntime:
    """Reads the folder and returns its runtime."""
    fake = FakeArtifact(**json.loads((folder / FILE_NAME).read_text(encoding="utf-8")))
    if fake.fail_load:
        raise RunError(fake.fail_load)

    def answer(feed: Arrays) -> dict[str, NDArray[np.generic]]:
        return _answer(fake, feed)

    return FakeRuntime(answer, outputs=("logits",))


def _answer(fake: FakeArtifact, feed: Arrays) -> dict[str, NDArray[np.generic]]:
    if fake.fail_run:
        raise RunError(fake.fail_run)
    if fake.die:
        raise SystemExit(3)
    ids = np.asarray(feed["input_ids"], dtype=np.int64)
    mask = np.asarray(feed["attention_mask"], dtype=np.int64)
    if fake.seconds:
        time.sleep(fake.seconds * (1 + ids.size / 100))
    sums = (ids * mask).sum(axis=1)
    classes = (sums + (sums % 10 < fake.shift)) % fake.labels
    logits = np.zeros((ids.shape[0], fake.labels), dtype=np.float32)
    logits[np.arange(ids.shape[0]), classes] = 2.0
    return {"logits": logits}
