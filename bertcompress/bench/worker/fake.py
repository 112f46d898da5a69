"""An artifact that answers by arithmetic, for tests of the harness itself.

A folder with ``fake.json`` and the runtime name ``fake`` stand where an artifact and a real
runtime would: the measuring process is then the real one in all but the model. Nothing chooses
this runtime by itself; it has to be named.

A fake may also stand in front of a real artifact and make it slower by a known share, to see
whether a comparison notices: after each run it keeps the processor busy for so long.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import RunError
from bertcompress.runtimes.base import Arrays, CheckedRuntime, FakeRuntime, Runtime

FILE_NAME = "fake.json"


@dataclass(frozen=True)
class FakeArtifact:
    """How the fake behaves.

    Attributes:
        labels: Classes in the ``logits``, float32 ``[batch, labels]``.
        seconds: Each run sleeps so long, and as long again for each 100 positions of its input.
        parallel: The share of that which threads divide among them, as in Amdahl's law.
        crowding: Added to that for each other fake open in the process, times this.
        knee: Positions beyond this number cost four times as much, as if a cache were full.
        shift: Added to the class index, so that two fakes disagree; in examples out of ten.
        fail_load: The sentence that loading fails with.
        fail_run: The sentence that running fails with.
        die: Whether a run ends the process, as a crash in native code would.
        wraps: The folder of a real artifact that answers instead; empty for none.
        slowdown: What is added to each run of the wrapped artifact, a fraction of its time.
    """

    labels: int = 2
    seconds: float = 0.0
    parallel: float = 0.0
    crowding: float = 0.0
    knee: int = 1_000_000
    shift: int = 0
    fail_load: str = ""
    fail_run: str = ""
    die: bool = False
    wraps: str = ""
    slowdown: float = 0.0


def write_fake(folder: Path, fake: FakeArtifact) -> Path:
    """Writes the folder and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).write_text(json.dumps(asdict(fake)) + "\n", encoding="utf-8")
    return folder


class SlowedRuntime(CheckedRuntime):
    """Runs a real artifact and then keeps the processor busy for a fraction of the run's time.

    Args:
        inner: What runs the artifact.
        slowdown: The fraction.
    """

    name = "slowed"

    def __init__(self, inner: Runtime, slowdown: float) -> None:
        super().__init__()
        self._inner = inner
        self._factor = 1.0 + slowdown

    def __enter__(self) -> Self:
        self._inner.__enter__()
        self._open_for(self._inner.inputs, self._inner.outputs)
        return self

    def __exit__(self, *raised: object) -> None:
        self._close()
        self._inner.__exit__(None, None, None)

    def _run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        """Runs one batch, and waits without sleeping."""
        started = time.perf_counter_ns()
        answer = self._inner.run(feed)
        end = started + (time.perf_counter_ns() - started) * self._factor
        while time.perf_counter_ns() < end:
            pass
        return answer


def open_fake(folder: Path, *, threads: int = 1) -> Runtime:
    """Reads the folder and returns its runtime."""
    fake = FakeArtifact(**json.loads((folder / FILE_NAME).read_text(encoding="utf-8")))
    if fake.fail_load:
        raise RunError(fake.fail_load)

    if fake.wraps:
        from bertcompress.runtimes import open_runtime

        return SlowedRuntime(open_runtime(Path(fake.wraps), threads=threads), fake.slowdown)

    def answer(feed: Arrays) -> dict[str, NDArray[np.generic]]:
        return _answer(fake, feed, opened.count, threads)

    opened = _CountedRuntime(answer, outputs=("logits",))
    return opened


class _CountedRuntime(FakeRuntime):
    """Knows how many fakes are open in this process."""

    _open = 0

    @property
    def count(self) -> int:
        return _CountedRuntime._open

    def __enter__(self) -> Self:
        _CountedRuntime._open += 1
        return self

    def __exit__(self, *raised: object) -> None:
        _CountedRuntime._open -= 1


def service_seconds(fake: FakeArtifact, positions: int, *, opened: int, threads: int) -> float:
    """Returns how long a run sleeps; tests compute from it which settings are the best.

    Args:
        fake: How it behaves.
        positions: Rows times columns of the input.
        opened: The fakes open in the process.
        threads: The runtime's own.
    """
    work = 1 + (positions + 3 * max(0, positions - fake.knee)) / 100
    divided = 1 - fake.parallel + fake.parallel / threads
    return fake.seconds * work * divided * (1 + fake.crowding * max(0, opened - 1))


def _answer(
    fake: FakeArtifact, feed: Arrays, opened: int, threads: int
) -> dict[str, NDArray[np.generic]]:
    if fake.fail_run:
        raise RunError(fake.fail_run)
    if fake.die:
        raise SystemExit(3)
    ids = np.asarray(feed["input_ids"], dtype=np.int64)
    mask = np.asarray(feed["attention_mask"], dtype=np.int64)
    if fake.seconds:
        time.sleep(service_seconds(fake, ids.size, opened=opened, threads=threads))
    sums = (ids * mask).sum(axis=1)
    classes = (sums + (sums % 10 < fake.shift)) % fake.labels
    logits = np.zeros((ids.shape[0], fake.labels), dtype=np.float32)
    logits[np.arange(ids.shape[0]), classes] = 2.0
    return {"logits": logits}
