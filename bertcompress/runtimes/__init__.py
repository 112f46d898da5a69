"""Runtimes: arrays in, arrays out, one file for each library.

`open_runtime` picks one by name. This file imports no library: the process that measures an
artifact imports it, and must hold nothing but the runtime it measures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.artifact import ONNX_NAME, kind_of
from bertcompress.errors import RunError, UsageError, did_you_mean
from bertcompress.runtimes.base import FakeRuntime, Runtime, SharedRuntime

if TYPE_CHECKING:
    from bertcompress.runtimes.openvino_runtime import OpenVinoRuntime
    from bertcompress.runtimes.tensorrt_runtime import TensorRtRuntime

RUNTIME_NAMES = ("ort-cpu", "torch-cpu", "openvino", "openvino-bf16", "tensorrt")
"""The runtimes; ``auto`` is the first one that runs what the folder holds.

``openvino`` computes floats in FP32; BF16 is another runtime to choose, with settings of its own.
``tensorrt`` runs the engine of a folder that has one, and nothing else.
"""

_AUTO = {"checkpoint": "torch-cpu", "onnx": "ort-cpu", "engine": "tensorrt"}

__all__ = [
    "RUNTIME_NAMES",
    "FakeRuntime",
    "Runtime",
    "check_runtime",
    "open_runtime",
    "open_runtimes",
    "runtime_for",
]


def runtime_for(folder: Path, name: str = "auto") -> str:
    """Returns the name of the runtime that will run the folder.

    Raises:
        UsageError: If there is no runtime of that name.
        RunError: If the runtime asked for can't run what the folder holds.
        MissingDependencyError: If its library is not installed.
    """
    if name != "auto" and name not in RUNTIME_NAMES:
        raise UsageError(
            f"there is no runtime {name!r}; the runtimes are auto, {', '.join(RUNTIME_NAMES)}"
            + did_you_mean(name, RUNTIME_NAMES)
        )
    kind = kind_of(folder)
    is_graph = kind != "checkpoint"
    chosen = name if name != "auto" else _AUTO[kind]
    if chosen == "tensorrt" and kind != "engine":
        raise RunError(
            f"{folder} has no engine, which tensorrt runs; type: bertcompress build {folder} -o OUT"
        )
    if chosen != "torch-cpu" and not is_graph:
        raise RunError(
            f"{folder} has no {ONNX_NAME}, which {chosen} runs; type: bertcompress export {folder}"
        )
    if chosen == "torch-cpu" and is_graph:
        raise RunError(f"{folder} holds a graph, which torch-cpu can't run; leave --runtime out")
    check_runtime(chosen)
    return chosen


def check_runtime(name: str) -> None:
    """Fails with a MissingDependencyError if the runtime's library is not installed."""
    if name == "ort-cpu":
        from bertcompress.runtimes.ort_runtime import import_onnxruntime

        import_onnxruntime("running an ONNX graph")
    if name == "tensorrt":
        from bertcompress.runtimes.tensorrt_library import import_tensorrt

        import_tensorrt("running a TensorRT engine")
    if name.startswith("openvino"):
        from bertcompress.runtimes.openvino_runtime import import_openvino

        import_openvino("running a graph in OpenVINO")


def open_runtime(folder: Path, name: str = "auto", *, threads: int) -> Runtime:
    """Returns the runtime for an artifact folder, not entered yet.

    Args:
        folder: An artifact folder, or a plain Transformers folder.
        name: One of `RUNTIME_NAMES`, or ``auto``.
        threads: Threads of one run; no runtime takes more, and TensorRT none but the caller's.

    Raises:
        UsageError: If there is no runtime of that name.
        RunError: If the runtime asked for can't run what the folder holds.
        MissingDependencyError: If its library is not installed.
    """
    if threads < 1:
        raise UsageError(f"threads must be 1 or more, got {threads}")
    chosen = runtime_for(folder, name)
    if chosen == "ort-cpu":
        from bertcompress.runtimes.ort_runtime import OrtRuntime

        return OrtRuntime(folder / ONNX_NAME, threads=threads)
    if chosen.startswith("openvino"):
        return _openvino(folder, chosen, threads=threads)
    if chosen == "tensorrt":
        return _tensorrt(folder)
    from bertcompress.runtimes.torch_runtime import TorchRuntime

    return TorchRuntime(folder, threads=threads)


@contextmanager
def open_runtimes(
    folder: Path, name: str = "auto", *, streams: int, threads: int
) -> Iterator[Sequence[Runtime]]:
    """Opens an artifact for so many runs at a time.

    OpenVINO and TensorRT share the weights between streams; of other runtimes each has its own.

    Args:
        folder: As in `open_runtime`, which raises the same errors.
        name: One of `RUNTIME_NAMES`, or ``auto``.
        streams: How many runtimes.
        threads: Threads of each.

    Raises:
        UsageError: If streams or threads are below 1.
    """
    if streams < 1:
        raise UsageError(f"streams must be 1 or more, got {streams}")
    with ExitStack() as stack:
        chosen = runtime_for(folder, name)
        if chosen == "tensorrt" or chosen.startswith("openvino"):
            first: SharedRuntime = (
                _tensorrt(folder)
                if chosen == "tensorrt"
                else _openvino(folder, chosen, threads=threads, streams=streams)
            )
            opened: list[Runtime] = [stack.enter_context(first)]
            for _ in range(streams - 1):
                opened.append(stack.enter_context(first.another()))
            yield opened
            return
        yield [
            stack.enter_context(open_runtime(folder, name, threads=threads)) for _ in range(streams)
        ]


def _tensorrt(folder: Path) -> TensorRtRuntime:
    from bertcompress.runtimes.tensorrt_runtime import TensorRtRuntime

    return TensorRtRuntime(folder)


def _openvino(folder: Path, name: str, *, threads: int, streams: int = 1) -> OpenVinoRuntime:
    from bertcompress.runtimes.openvino_runtime import OpenVinoRuntime

    if threads < 1:
        raise UsageError(f"threads must be 1 or more, got {threads}")
    precision = runtime_for(folder, name).partition("-")[2] or "f32"
    path = folder / ONNX_NAME
    return OpenVinoRuntime(path, threads=threads, streams=streams, precision=precision)
