"""A stand-in for torch's CUDA on a machine without one: memory is the host's, addresses are real.

What is queued while a graph is captured is kept and not done, as on a GPU, and `replay` does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np


class Tensor:
    """An array with the methods of torch's that are used; new memory is not zero."""

    def __init__(self, cuda: FakeCuda, shape: tuple[int, ...], dtype: str) -> None:
        self._cuda = cuda
        self._array = np.empty(shape, dtype=dtype)
        self._array.view(np.uint8).fill(1)

    def numpy(self) -> np.ndarray:
        return self._array

    def data_ptr(self) -> int:
        return int(self._array.ctypes.data)

    def copy_(self, other: Tensor, *, non_blocking: bool) -> None:
        assert non_blocking
        self._cuda.queue(lambda: np.copyto(self._array, other._array))


class Graph:
    def __init__(self, cuda: FakeCuda) -> None:
        self.work: list[Callable[[], None]] = []
        self._cuda = cuda

    def replay(self) -> None:
        self._cuda.replays += 1
        for one in self.work:
            one()


class FakeCuda:
    """``torch.cuda``: one device, streams that do everything at once, graphs.

    Attributes:
        there: Whether there is a device.
        broken: Raised by the next `synchronize`, as a failure on the device is.
        uncapturable: Whether capturing fails.
    """

    def __init__(self) -> None:
        self.there = True
        self.broken = ""
        self.uncapturable = False
        self.replays = 0
        self.device = SimpleNamespace(
            name="NVIDIA H100 80GB HBM3",
            major=9,
            minor=0,
            multi_processor_count=132,
            total_memory=81559 * 2**20 + 12345,
        )
        self._capturing: Graph | None = None

    def queue(self, work: Callable[[], None]) -> None:
        """Does the work, or keeps it while a graph is captured."""
        if self._capturing is None:
            work()
        else:
            self._capturing.work.append(work)

    def is_available(self) -> bool:
        return self.there

    def current_device(self) -> int:
        return 0

    def get_device_properties(self, device: int) -> Any:
        assert device == 0
        return self.device

    def Stream(self) -> Any:
        return SimpleNamespace(cuda_stream=77, synchronize=self._synchronize)

    def CUDAGraph(self) -> Graph:
        return Graph(self)

    @contextmanager
    def stream(self, stream: Any) -> Iterator[None]:
        assert stream.cuda_stream == 77
        yield

    @contextmanager
    def graph(self, graph: Graph, *, stream: Any, capture_error_mode: str) -> Iterator[None]:
        assert stream.cuda_stream == 77
        assert capture_error_mode == "thread_local"
        self._capturing = graph
        try:
            yield
        finally:
            self._capturing = None
        if self.uncapturable:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

    def _synchronize(self) -> None:
        if self.broken:
            raise RuntimeError(self.broken)


class FakeTorch:
    """The part of torch that `bertcompress.runtimes.tensorrt.cuda` uses."""

    def __init__(self) -> None:
        self.cuda = FakeCuda()
        self.version = SimpleNamespace(cuda="13.0")
        for name in ("float32", "float16", "int64", "int32", "int8", "bool", "uint8"):
            setattr(self, name, name)

    def empty(
        self, shape: tuple[int, ...], *, dtype: str, pin_memory: bool = False, device: str = "cpu"
    ) -> Tensor:
        assert pin_memory != (device == "cuda")
        return Tensor(self.cuda, shape, dtype)
