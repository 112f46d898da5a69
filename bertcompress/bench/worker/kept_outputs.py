"""Raw outputs kept on disk, so that an interrupted accuracy run need not start over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.model_config import INPUT_NAMES
from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.workload import Feed


class KeptOutputs:
    """Runs batches in a measuring process, or reads what it answered before.

    The process is started at the first batch that is not on disk. Batches are known by their
    order, which is the same in every run with the same state folder.

    Args:
        start: Starts and loads the process; the caller ends it.
        folder: Where the outputs are kept; made if it is not there.
    """

    def __init__(self, start: Callable[[], WorkerProcess], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._start = start
        self._folder = folder
        self._process: WorkerProcess | None = None
        self._count = 0

    input_names = INPUT_NAMES

    def run(self, feed: Feed) -> Mapping[str, NDArray[np.generic]]:
        """Returns the outputs of one batch."""
        path = self._folder / f"{self._count:06d}.npz"
        self._count += 1
        if path.is_file():
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        if self._process is None:
            self._process = self._start()
        outputs = self._process.run(feed)
        staging = path.with_suffix(".part")
        with staging.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **outputs)
        staging.replace(path)
        return outputs
