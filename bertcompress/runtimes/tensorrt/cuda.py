"""CUDA for TensorRT, by way of torch: memory, a stream, captured graphs, the GPU's facts.

torch is here already and brings streams, page-locked memory and CUDA graphs, so that no further
binding is needed. Memory is torch's own (its caches make a new buffer of a known size cheap), all
work goes to one stream of this object's own.
Source: https://docs.pytorch.org/docs/stable/notes/cuda.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import MissingError, MissingHardwareError, RunError

DRIVER_FILE = Path("/proc/driver/nvidia/version")
"""Where NVIDIA's driver for Linux says its version."""


def _torch() -> Any:
    import torch

    return torch


def gpu_facts() -> dict[str, object]:
    """Returns what torch and the driver know of `bertcompress.artifacts.engine_record.Platform`.

    Raises:
        MissingError: If torch was built without CUDA.
        MissingHardwareError: If there is no CUDA device.
    """
    torch = _torch()
    if torch.version.cuda is None:
        raise MissingError(
            "TensorRT's engines run through torch's CUDA, and this torch was built without it; "
            "type: pip install torch --index-url https://download.pytorch.org/whl/cu130"
        )
    if not torch.cuda.is_available():
        raise MissingHardwareError(
            "TensorRT needs an NVIDIA GPU, and no CUDA device is to be seen here; what nvidia-smi "
            "says tells whether the driver sees one"
        )
    found = torch.cuda.get_device_properties(torch.cuda.current_device())
    return {
        "gpu": str(found.name),
        "sm": f"{found.major}.{found.minor}",
        "sm_count": int(found.multi_processor_count),
        "vram_mib": int(found.total_memory) // 2**20,
        "cuda": str(torch.version.cuda),
        "driver": driver_branch(),
    }


def driver_branch() -> str:
    """Returns the branch of the driver, ``580``, or ``unknown`` where no file says it."""
    try:
        words = DRIVER_FILE.read_text(encoding="utf-8").split()
    except OSError:
        return "unknown"
    numbers = (word for word in words if word[:1].isdigit() and "." in word)
    return next(numbers, "unknown").partition(".")[0]


@dataclass(frozen=True)
class Buffer:
    """A tensor on both sides.

    Attributes:
        array: The page-locked host side, as NumPy sees it.
        host: The same, as torch sees it.
        device: The side that the engine reads or writes.
    """

    array: NDArray[np.generic]
    host: Any
    device: Any

    @property
    def address(self) -> int:
        """Where the device side lies."""
        return int(self.device.data_ptr())


class TorchCuda:
    """One stream with its copies and graphs; used by one thread at a time."""

    def __init__(self) -> None:
        self._torch = _torch()
        self._stream = self._torch.cuda.Stream()

    @property
    def stream_handle(self) -> int:
        """The stream, as TensorRT takes it."""
        return int(self._stream.cuda_stream)

    def buffer(self, shape: tuple[int, ...], dtype: str) -> Buffer:
        """Makes a tensor of a shape and a type, by NumPy's name, on both sides."""
        kind = getattr(self._torch, dtype)
        host = self._torch.empty(shape, dtype=kind, pin_memory=True)
        device = self._torch.empty(shape, dtype=kind, device="cuda")
        return Buffer(host.numpy(), host, device)

    def memory(self, size_bytes: int) -> Any:
        """Makes device memory that contexts share; its ``data_ptr()`` is where it lies."""
        return self._torch.empty((max(size_bytes, 1),), dtype=self._torch.uint8, device="cuda")

    def upload(self, buffer: Buffer) -> None:
        """Queues the copy to the device."""
        with self._torch.cuda.stream(self._stream):
            buffer.device.copy_(buffer.host, non_blocking=True)

    def download(self, buffer: Buffer) -> None:
        """Queues the copy to the host."""
        with self._torch.cuda.stream(self._stream):
            buffer.host.copy_(buffer.device, non_blocking=True)

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Records what `work` queues and returns what queues it all again.

        Raises:
            RunError: If CUDA can't record it.
        """
        graph = self._torch.cuda.CUDAGraph()
        try:
            with self._torch.cuda.graph(
                graph, stream=self._stream, capture_error_mode="thread_local"
            ):
                work()
        except RuntimeError as error:
            raise RunError(
                f"this engine's work can't be captured as a CUDA graph: {_first_line(error)}; "
                "open it with graphs=0"
            ) from error

        def replay() -> None:
            with self._torch.cuda.stream(self._stream):
                graph.replay()

        return replay

    def wait(self) -> None:
        """Waits until all that was queued is done.

        Raises:
            RunError: If it failed on the device; the process can use CUDA no further then.
        """
        try:
            self._stream.synchronize()
        except RuntimeError as error:
            raise RunError(
                f"the GPU failed: {_first_line(error)}; start the process again"
            ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
