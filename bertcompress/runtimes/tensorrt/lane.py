"""What one batch runs in: an execution context with its tensors in place for one shape.

TensorRT 10 and newer read ``int64`` tokens as they are; before, the parser makes them ``int32``,
so each tensor gets the type that the engine says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import RunError
from bertcompress.runtimes.base import Arrays
from bertcompress.runtimes.tensorrt.cuda import Buffer, TorchCuda
from bertcompress.runtimes.tensorrt.library import last_error

_TYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT64": "int64",
    "INT32": "int32",
    "INT8": "int8",
    "BOOL": "bool",
}
"""TensorRT's types by the names that NumPy and torch share."""


def shares_profiles(trt: ModuleType) -> bool:
    """Whether several contexts may use one profile: from TensorRT 8.6 on."""
    return hasattr(trt, "ExecutionContextAllocationStrategy") or hasattr(
        trt.PreviewFeature, "PROFILE_SHARING_0806"
    )


class Working:
    """What all contexts of one thread have in common: the stream and the working memory.

    Raises:
        RunError: If a tensor is of a type that is not an encoder's.
    """

    def __init__(self, trt: ModuleType, engine: Any, logger: Any, cuda: TorchCuda) -> None:
        self.trt, self.engine, self.logger, self.cuda = trt, engine, logger, cuda
        names = [engine.get_tensor_name(at) for at in range(engine.num_io_tensors)]
        modes = {name: engine.get_tensor_mode(name) for name in names}
        self.inputs = tuple(name for name in names if modes[name] == trt.TensorIOMode.INPUT)
        self.outputs = tuple(name for name in names if modes[name] == trt.TensorIOMode.OUTPUT)
        self.types = {name: self._type_of(name) for name in names}
        size = getattr(engine, "device_memory_size_v2", None)
        self.memory_bytes = int(engine.device_memory_size if size is None else size)
        self._memory = cuda.memory(self.memory_bytes)

    def context(self) -> Any:
        """Makes an execution context on the shared memory."""
        engine, trt = self.engine, self.trt
        if hasattr(trt, "ExecutionContextAllocationStrategy"):
            strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
            made = engine.create_execution_context(strategy)
        else:
            made = engine.create_execution_context_without_device_memory()
        if made is None:
            raise RunError(f"TensorRT made no execution context: {last_error(self.logger)}")
        address = int(self._memory.data_ptr())
        if hasattr(made, "set_device_memory"):
            made.set_device_memory(address, self.memory_bytes)
        else:
            made.device_memory = address
        return made

    def _type_of(self, name: str) -> str:
        kind = self.engine.get_tensor_dtype(name).name
        if kind not in _TYPES:
            raise RunError(
                f"the engine's {name} is of TensorRT's type {kind}; tokens must be integers and "
                f"answers FLOAT or HALF"
            )
        return _TYPES[kind]


class Lane:
    """An execution context, bound to one shape of each input at a time."""

    def __init__(self, working: Working) -> None:
        self._working = working
        self._context = working.context()
        self._profile = -1  # only an engine's first context begins with a profile, 0
        self._shapes: Mapping[str, tuple[int, ...]] = {}
        self._buffers: dict[str, Buffer] = {}

    def bind(self, shapes: Mapping[str, tuple[int, ...]], profile: int) -> None:
        """Puts tensors in place, the inputs of these shapes.

        Raises:
            RunError: If TensorRT refuses them.
        """
        if shapes == self._shapes:
            return
        working, context = self._working, self._context
        if profile != self._profile:
            self._check(
                context.set_optimization_profile_async(profile, working.cuda.stream_handle),
                f"the profile {profile}",
            )
            working.cuda.wait()
            self._profile = profile
        for name, shape in shapes.items():
            self._check(context.set_input_shape(name, shape), f"the shape {shape} of {name}")
        self._buffers = {}
        for name in (*working.inputs, *working.outputs):
            size = tuple(context.get_tensor_shape(name))
            buffer = working.cuda.buffer(size, working.types[name])
            self._check(context.set_tensor_address(name, buffer.address), f"the address of {name}")
            self._buffers[name] = buffer
        self._shapes = shapes

    def run(
        self, feed: Arrays, replay: Callable[[], None] | None = None
    ) -> dict[str, NDArray[np.generic]]:
        """Runs a batch of the bound shapes, by a recorded graph if there is one."""
        for name, values in feed.items():
            np.copyto(self._buffers[name].array, np.asarray(values), casting="same_kind")
        (replay or self._enqueue)()
        self._working.cuda.wait()
        answers = {}
        for name in self._working.outputs:
            array = self._buffers[name].array
            kind = np.float32 if array.dtype == np.float16 else array.dtype
            answers[name] = array.astype(kind, copy=True)
        return answers

    def capture(self) -> Callable[[], None]:
        """Records the work on the bound tensors; they have been run once before."""
        return self._working.cuda.capture(self._enqueue)

    def _enqueue(self) -> None:
        working = self._working
        for name in working.inputs:
            working.cuda.upload(self._buffers[name])
        started = self._context.execute_async_v3(working.cuda.stream_handle)
        self._check(started, "the batch")
        for name in working.outputs:
            working.cuda.download(self._buffers[name])

    def _check(self, accepted: bool, what: str) -> None:
        if not accepted:
            raise RunError(f"TensorRT refused {what}: {last_error(self._working.logger)}")
