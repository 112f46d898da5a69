"""Several opened runtimes at once: the way to use all cores when there are many texts.

One runtime with all threads splits every matrix product between the cores and waits at each
border; several runtimes with fewer threads each, called *streams*, share nothing but the queue.
For short texts that is often the faster way (on two cores up to twice). Runtimes give Python's
global lock back while they compute, so Python threads are enough.

    queue of batches ──▶ stream 1 (its own threads)
                     ──▶ stream 2 (its own threads)      each takes the next batch when it is free

Which of the two is faster, and in batches of how many, is measured: `bertcompress.bench.tuning`.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import UsageError
from bertcompress.inference.best_settings import TOKEN_BUDGET
from bertcompress.runtimes import open_entry, open_runtimes
from bertcompress.runtimes.catalog import Entry
from bertcompress.runtimes.fitting import follows_sequence
from bertcompress.tasks.base import Feature, pad

Feed = Mapping[str, NDArray[np.int64]]
Outputs = Mapping[str, NDArray[np.generic]]


class Runs(Protocol):
    """Runs batches: an opened runtime, or a measuring process that holds one."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs that the model takes."""
        ...

    def run(self, feed: Feed) -> Outputs:
        """Runs one batch."""
        ...


class Streams:
    """Runs batches on opened runtimes, each of which has one batch at a time.

    A context manager: leaving it ends the threads; the runtimes stay the caller's to close.

    Args:
        runtimes: Opened, at least one. A single one runs in the caller's own thread.
    """

    def __init__(self, runtimes: Sequence[Runs]) -> None:
        if not runtimes:
            raise UsageError("streams must be 1 or more, got 0")
        self._first = runtimes[0]
        self._count = len(runtimes)
        self._free: queue.SimpleQueue[Runs] = queue.SimpleQueue()
        for runtime in runtimes:
            self._free.put(runtime)
        self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="stream")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __len__(self) -> int:
        return self._count

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs that the model takes."""
        return self._first.input_names

    def run(self, feed: Feed) -> Outputs:
        """Runs one batch on the next free runtime; safe to call from several threads."""
        runtime = self._free.get()
        try:
            return runtime.run({name: feed[name] for name in runtime.input_names})
        finally:
            self._free.put(runtime)

    def submit(self, feed: Feed) -> Future[Outputs]:
        """Queues one batch; batches are begun in the order they were queued."""
        return self._pool.submit(self.run, feed)

    def run_all(self, feeds: Iterable[Feed]) -> Iterator[Outputs]:
        """Runs batches and yields their outputs in the given order, in which they are begun too.

        Raises:
            RunError: If a batch fails; those not begun are given up.
        """
        if self._count == 1:
            yield from map(self.run, feeds)
            return
        queued = deque(self.submit(feed) for feed in feeds)
        try:
            while queued:
                yield queued.popleft().result()
        finally:
            for one in queued:
                one.cancel()

    def run_features(
        self,
        features: Sequence[Feature],
        *,
        batch_size: int,
        sort_by_length: bool = True,
        token_budget: int = TOKEN_BUDGET,
        pad_token_id: int = 0,
        finished: Callable[[int], None] = lambda count: None,
    ) -> list[dict[str, NDArray[np.generic]]]:
        """Runs all features in batches and returns each one's outputs, in the features' order.

        Args:
            features: Any number.
            batch_size: Features in a batch.
            sort_by_length: See `batches_of`.
            token_budget: See `batches_of`.
            pad_token_id: The tokenizer's padding token.
            finished: Is told how many features each finished batch had.

        Returns:
            For each feature its outputs without batch axis and without padded positions.
        """
        lengths = [feature.length for feature in features]
        batches = batches_of(
            lengths,
            batch_size=batch_size,
            sort_by_length=sort_by_length,
            token_budget=token_budget,
        )
        feeds = (pad([features[i] for i in batch], pad_token_id=pad_token_id) for batch in batches)
        rows: list[dict[str, NDArray[np.generic]]] = [{}] * len(features)
        for batch, outputs in zip(batches, self.run_all(feeds), strict=True):
            padded = max(lengths[i] for i in batch)
            for row, i in enumerate(batch):
                rows[i] = unpadded(outputs, row, lengths[i], padded)
            finished(len(batch))
        return rows


@contextmanager
def open_streams(
    folder: Path, name: str = "auto", *, streams: int, threads: int
) -> Iterator[Streams]:
    """Opens an artifact `streams` times, as `bertcompress.runtimes.open_runtimes` does.

    Args:
        folder: An artifact folder, or a plain Transformers folder.
        name: The runtime, see `bertcompress.runtimes.open_runtime`.
        streams: How many runtimes.
        threads: Threads of each.

    Raises:
        UsageError: If streams or threads are below 1, or there is no such runtime.
        RunError: If the runtime can't run what the folder holds.
        MissingDependencyError: If its library is not installed.
    """
    with (
        open_runtimes(folder, name, streams=streams, threads=threads) as runtimes,
        Streams(runtimes) as opened,
    ):
        yield opened


@contextmanager
def open_entry_streams(
    entry: Entry, folder: Path, *, streams: int, threads: int, task: str | None = None
) -> Iterator[Streams]:
    """Opens an artifact `streams` times, as `bertcompress.runtimes.open_entry` does."""
    with (
        open_entry(entry, folder, streams=streams, threads=threads, task=task) as runtimes,
        Streams(runtimes) as opened,
    ):
        yield opened


def batches_of(
    lengths: Sequence[int],
    *,
    batch_size: int,
    sort_by_length: bool,
    token_budget: int = TOKEN_BUDGET,
) -> list[list[int]]:
    """Returns the positions of each batch's members.

    Sorted, texts of similar length share a batch, so that little padding is computed, and the
    longest come first: a stream that begins the longest batch last would keep the others waiting.

    Args:
        lengths: Tokens of each text.
        batch_size: The most texts in a batch.
        sort_by_length: Whether texts of similar length share a batch; else batches are filled in
            the given order.
        token_budget: The most positions in a batch, padding too; a text that is longer by itself is
            a batch by itself.

    >>> batches_of([3, 9, 4, 8, 5], batch_size=2, sort_by_length=True)
    [[1], [4, 3], [0, 2]]
    >>> batches_of([3, 9, 4, 8, 5], batch_size=2, sort_by_length=False)
    [[0, 1], [2, 3], [4]]
    >>> batches_of([3, 9, 4, 8, 5], batch_size=9, sort_by_length=True, token_budget=16)
    [[1], [3], [0, 2, 4]]
    """
    for name, value in (("batch_size", batch_size), ("token_budget", token_budget)):
        if value < 1:
            raise UsageError(f"{name} must be 1 or more, got {value}")
    order = list(range(len(lengths)))
    if sort_by_length:
        order.sort(key=lambda i: lengths[i])
    batches: list[list[int]] = []
    longest = 0
    for i in order:
        longest = max(longest, lengths[i])
        full = not batches or len(batches[-1]) == batch_size
        if full or (len(batches[-1]) + 1) * longest > token_budget:
            batches.append([])
            longest = lengths[i]
        batches[-1].append(i)
    return batches[::-1] if sort_by_length else batches


def unpadded(
    outputs: Outputs, row: int, length: int, padded: int
) -> dict[str, NDArray[np.generic]]:
    """Returns one row of each output, without the positions that were padding.

    Args:
        outputs: Of a padded batch.
        row: Which row of it.
        length: Tokens of that row.
        padded: Tokens of the longest row.
    """
    rows = {}
    for name, values in outputs.items():
        trimmed = follows_sequence(name, values) and values.shape[1] == padded
        rows[name] = np.array(values[row, :length] if trimmed else values[row])
    return rows
