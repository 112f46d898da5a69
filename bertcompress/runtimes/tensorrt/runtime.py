"""TensorRT: runs the engine of an artifact folder, on the machine that it was built for.

A shape ``[batch, length]`` runs in the smallest optimization profile that holds it, in one of two
ways, which give the same answers and are counted apart (`counts`, and a line of the log):

* **graph**: copies and kernels were recorded once as a CUDA graph and are started by one call.
  At batch 1 an encoder's kernels are shorter than the time it takes to start them one by one.
* **enqueue**: TensorRT starts each kernel. So runs a shape that is seen for the first time, one
  that was recorded but had to make room, and every shape where `graphs` is 0.

A shape is recorded when it comes for the second time: run once plainly, then captured in an
execution context of its own, which is not touched afterwards, as TensorRT demands. At most
`graphs` shapes are kept; one that came more often takes the place of the one unused for longest.
All contexts share one block of working memory: they never run at once.

A batch with more texts than any profile holds runs in parts, which is counted too; texts that are
too long for all profiles are an error. An engine built for ``packed`` is given its tokens without
padding (`bertcompress.runtimes.tensorrt.feed`). TensorRT 8.5 gives each profile to one context
only, so nothing is recorded there.
Source: https://docs.nvidia.com/deeplearning/tensorrt/latest/performance/best-practices.html
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.artifact import Engine
from bertcompress.artifacts.engine_record import profile_for
from bertcompress.errors import RunError, UsageError
from bertcompress.runtimes.base import Arrays, CheckedRuntime, token_inputs
from bertcompress.runtimes.tensorrt.cuda import TorchCuda
from bertcompress.runtimes.tensorrt.feed import callers_inputs, engine_feed, shapes_in
from bertcompress.runtimes.tensorrt.lane import Lane, Working, shares_profiles
from bertcompress.runtimes.tensorrt.library import LoadedEngine, load_source

GRAPHS = 32
"""How many shapes are kept as CUDA graphs, unless it is said."""

Shape = tuple[int, int]
_Key = tuple[tuple[int, ...], ...]
"""The shapes of an engine's inputs, in their order."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunCounts:
    """How batches ran.

    Attributes:
        replayed: By a CUDA graph.
        enqueued: Kernel by kernel.
        captured: How often a graph was made; many more than shapes means that `graphs` is small.
        split: Batches that were larger than the engine's, and ran in parts.
    """

    replayed: int
    enqueued: int
    captured: int
    split: int = 0


class TensorRtRuntime(CheckedRuntime):
    """Runs one engine; a runtime serves one thread at a time, `another` one more.

    Args:
        source: An artifact folder with an engine, or the artifact itself.
        graphs: Shapes that are kept as CUDA graphs; 0 starts every kernel singly.

    Raises:
        UsageError: If `graphs` is below 0.
    """

    name = "tensorrt"
    library, runs = "TensorRT", "the engine"
    casts_integers = one_shape = True

    def __init__(self, source: Path | Engine, *, graphs: int = GRAPHS) -> None:
        if graphs < 0:
            raise UsageError(f"graphs must be 0 or more, got {graphs}")
        super().__init__()
        self._source = source
        self._graphs = graphs
        self._loaded: LoadedEngine | None = None
        self._working: Working | None = None
        self._plain: Lane | None = None
        self._captured: OrderedDict[_Key, tuple[Lane, Callable[[], None]]] = OrderedDict()
        self._seen: Counter[_Key] = Counter()
        self._tally: Counter[str] = Counter()
        self._busy = threading.Lock()

    def __enter__(self) -> Self:
        if self._loaded is None:
            self._loaded = load_source(self._source)
        trt, engine = self._loaded.trt, self._loaded.engine
        if not shares_profiles(trt):
            self._graphs = 0
        self._working = Working(trt, engine, self._loaded.logger, TorchCuda())
        self._plain = Lane(self._working)
        inputs = callers_inputs(self._working.inputs)
        self.longest = max(profile.most[1] for profile in self._loaded.record.profiles)
        self.needs_padding = inputs == self._working.inputs
        self._open_for(token_inputs(inputs), self._working.outputs)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._tally:
            _LOGGER.info("TensorRT ran %s", self.counts)
        self._close()
        self._captured.clear()
        self._seen.clear()
        self._plain = self._working = self._loaded = None

    def another(self) -> TensorRtRuntime:
        """Returns a runtime for one more thread, not entered yet: it shares the engine's weights.

        Raises:
            RunError: If this one was not entered.
        """
        self._check_open()
        assert self._loaded is not None
        twin = TensorRtRuntime(self._source, graphs=self._graphs)
        if shares_profiles(self._loaded.trt):
            twin._loaded = self._loaded
        return twin

    @property
    def counts(self) -> RunCounts:
        """How the batches ran so far."""
        tally = self._tally
        return RunCounts(*(tally[one.name] for one in fields(RunCounts)))

    def _run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        """Runs one batch, in parts if no profile holds so many texts.

        Raises:
            RunError: If no profile holds the length, or another thread is in the runtime.
        """
        if not self._busy.acquire(blocking=False):
            raise RunError("a TensorRT runtime serves one thread at a time; give it another()")
        try:
            batch, length = np.shape(feed[self.inputs[0].name])
            largest = self._largest(length)
            if batch <= largest:
                return self._run_part((batch, length), feed)
            self._tally["split"] += 1
            parts = []
            for start in range(0, batch, largest):
                part = {name: values[start : start + largest] for name, values in feed.items()}
                parts.append(self._run_part((min(largest, batch - start), length), part))
            return {name: np.concatenate([one[name] for one in parts]) for name in self.outputs}
        finally:
            self._busy.release()

    def warm(self, shapes: Iterable[Shape]) -> None:
        """Records shapes before the first batch comes, so that none waits for it.

        Raises:
            UsageError: If there are more than are kept.
            RunError: As `run` does.
        """
        wanted = dict.fromkeys(shapes)
        if len(wanted) > self._graphs:
            raise UsageError(f"{len(wanted)} shapes are more than the {self._graphs} that are kept")
        for shape in wanted:
            feed = {name: np.ones(shape, dtype=np.int64) for name in self.input_names}
            for _ in range(2):
                self.run(feed)

    def _run_part(self, shape: Shape, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        assert self._plain is not None
        assert self._working is not None
        given = engine_feed(feed, self._working.inputs)
        shapes = shapes_in(given)
        key = tuple(shapes.values())
        self._seen[key] += 1
        if key in self._captured:
            return self._replay(key, given)
        profile = self._profile(shape)
        if self._seen[key] > 1 and self._has_room(key):
            return self._capture(key, given, profile)
        self._plain.bind(shapes, profile)
        answers = self._plain.run(given)
        self._tally["enqueued"] += 1
        return answers

    def _replay(self, key: _Key, given: Arrays) -> dict[str, NDArray[np.generic]]:
        lane, replay = self._captured[key]
        self._captured.move_to_end(key)
        answers = lane.run(given, replay)
        self._tally["replayed"] += 1
        return answers

    def _capture(self, key: _Key, given: Arrays, profile: int) -> dict[str, NDArray[np.generic]]:
        """Runs a batch plainly in a context of its own, then records it."""
        assert self._working is not None
        lane = Lane(self._working)
        lane.bind(shapes_in(given), profile)
        answers = lane.run(given)
        if len(self._captured) >= self._graphs:
            self._captured.popitem(last=False)
        self._captured[key] = lane, lane.capture()
        self._tally.update(("enqueued", "captured"))
        return answers

    def _has_room(self, key: _Key) -> bool:
        if len(self._captured) < self._graphs:
            return True
        oldest = next(iter(self._captured), None)
        return oldest is not None and self._seen[key] > self._seen[oldest]

    def _largest(self, length: int) -> int:
        """Returns how many texts of a length run at once."""
        assert self._loaded is not None
        profiles = self._loaded.record.profiles
        largest = max(
            (one.most[0] for one in profiles if one.least[1] <= length <= one.most[1]), default=0
        )
        if largest == 0:
            top = max(one.most[1] for one in profiles)
            raise RunError(
                f"the engine holds texts of up to {top} tokens, and one has {length}; build one "
                f"for longer texts: bertcompress build MODEL -o OUT --lengths …,{length}"
            )
        return largest

    def _profile(self, shape: Shape) -> int:
        assert self._loaded is not None
        found = profile_for(self._loaded.record.profiles, *shape)
        if found is None:
            raise RunError(
                f"the engine has no profile for batches of {shape[0]}; build one with --batches"
            )
        return found
