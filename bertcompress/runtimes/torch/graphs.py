"""CUDA graphs: the kernels of one shape recorded once, then started together.

In eager mode a BERT of 12 layers is some 150 kernels, and the CPU needs longer to start them than
the GPU to run them for one short text. A replayed graph is one start. What a graph reads and writes
lies at fixed addresses: inputs are copied to where it reads, outputs from where it wrote.
Source: PyTorch documentation, "CUDA semantics", section "CUDA Graphs".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]
Forward = Callable[[Tensors], Tensors]

_WARM_UP = 3


@dataclass(frozen=True)
class Recording:
    """One recorded shape.

    Attributes:
        inputs: What `replay` reads; to be filled before.
        outputs: What it writes; good until the next replay.
        replay: Runs it.
    """

    inputs: Tensors
    outputs: Tensors
    replay: Callable[[], None]


Recorder = Callable[[Forward, Tensors], Recording]


class RecordedRuns:
    """Runs a function of tensors, each shape as a recording made when the shape first comes.

    Args:
        forward: Takes and returns tensors of one device.
        record: Makes the recording, such as `CudaRecorder`.
    """

    def __init__(self, forward: Forward, record: Recorder) -> None:
        self._forward = forward
        self._record = record
        self._made: dict[tuple[tuple[str, tuple[int, ...]], ...], Recording] = {}

    def __len__(self) -> int:
        return len(self._made)

    def __call__(self, tensors: Tensors) -> Tensors:
        """Returns the outputs, which the next call overwrites.

        Args:
            tensors: The inputs, on any device.
        """
        key = tuple((name, tuple(values.shape)) for name, values in tensors.items())
        if key not in self._made:
            self._made[key] = self._record(self._forward, tensors)
        made = self._made[key]
        for name, values in tensors.items():
            made.inputs[name].copy_(values)
        made.replay()
        return made.outputs


class CudaRecorder:
    """Records CUDA graphs that share one pool of memory: they never run at the same time."""

    def __init__(self) -> None:
        import torch

        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, forward: Forward, tensors: Tensors) -> Recording:
        """Runs the function a few times, then records it.

        Kernels are chosen and made in the runs before: none of that may happen while recording.
        """
        import torch

        inputs = {name: values.cuda().clone() for name, values in tensors.items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                forward(inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            outputs = forward(inputs)
        return Recording(inputs, outputs, graph.replay)
