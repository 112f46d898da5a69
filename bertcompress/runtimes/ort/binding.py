"""Running a session with inputs and outputs that stay on its device.

Without binding, ONNX Runtime allocates and copies on each run; with it, each bucket of shapes has
its tensors on the device once and inputs are copied into them. That is also what CUDA graphs need:
a recorded run reads and writes fixed addresses. ``gpu_graph_id`` tells the recordings of one
session apart, -1 leaves a run unrecorded. The device may be the CPU, where nothing is recorded.
Sources: ONNX Runtime documentation, "I/O Binding", and "CUDA Execution Provider", "Using CUDA
Graphs".
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcompress.runtimes.base import Arrays
from bertcompress.runtimes.buckets import Shape, bucket_of, cut, padded, shape_of

_GRAPH_ID = "gpu_graph_id"
_UNRECORDED = -1


@dataclass(frozen=True)
class _Bound:
    """The tensors of one shape."""

    binding: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    options: Any


class BoundRuns:
    """Runs a session with bound tensors.

    Args:
        ort: The library.
        session: A session of it.
        device: Where its tensors are, ``cuda`` or ``cpu``.
        longest: Tokens that the model has positions for.
        graphs: Whether buckets are recorded as CUDA graphs; else shapes are taken as they come.
    """

    def __init__(
        self, ort: ModuleType, session: Any, *, device: str, longest: int, graphs: bool
    ) -> None:
        self._ort = ort
        self._session = session
        self._device = device
        self._longest = longest
        self._graphs = graphs
        self._bound: dict[Shape, _Bound] = {}
        self._names = [one.name for one in session.get_outputs()]

    def __len__(self) -> int:
        return len(self._bound)

    def run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        """Runs one batch; the arrays returned are the caller's own."""
        given = shape_of(feed)
        bucket = bucket_of(*given, longest=self._longest) if self._graphs else None
        if bucket is None:
            return self._once(feed)
        taken = padded(feed, bucket)
        if bucket not in self._bound:
            self._bound[bucket] = self._bind(taken)
        bound = self._bound[bucket]
        for name, values in taken.items():
            bound.inputs[name].update_inplace(np.ascontiguousarray(values))
        self._session.run_with_iobinding(bound.binding, bound.options)
        return cut({name: one.numpy() for name, one in bound.outputs.items()}, given, bucket)

    def _once(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        """Runs a shape that has no bucket."""
        binding = self._session.io_binding()
        inputs = {name: self._value(values) for name, values in feed.items()}
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name in self._names:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding, self._options(_UNRECORDED))
        outputs = zip(self._names, binding.get_outputs(), strict=True)
        return {name: np.array(value.numpy()) for name, value in outputs}

    def _bind(self, feed: Arrays) -> _Bound:
        """Makes a bucket's tensors; the first run says how large the outputs are."""
        found = self._once(feed)
        binding = self._session.io_binding()
        inputs = {name: self._value(values) for name, values in feed.items()}
        outputs = {name: self._value(values) for name, values in found.items()}
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        return _Bound(binding, inputs, outputs, self._options(len(self._bound)))

    def _value(self, values: NDArray[np.generic]) -> Any:
        array = np.ascontiguousarray(values)
        return self._ort.OrtValue.ortvalue_from_numpy(array, self._device, 0)

    def _options(self, graph_id: int) -> Any:
        options = self._ort.RunOptions()
        if self._graphs:
            options.add_run_config_entry(_GRAPH_ID, str(graph_id))
        return options
