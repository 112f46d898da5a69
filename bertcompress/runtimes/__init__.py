"""Runtimes: arrays in, arrays out, one file for each library.

`open_runtime` picks one by name. This file imports no library: the process that measures an
artifact imports it, and must hold nothing but the runtime it measures.
"""

from __future__ import annotations

from pathlib import Path

from bertcompress.artifact import ONNX_NAME, kind_of
from bertcompress.errors import RunError, UsageError, did_you_mean
from bertcompress.runtimes.base import FakeRuntime, Runtime

RUNTIME_NAMES = ("ort-cpu", "torch-cpu")
"""The runtimes; ``auto`` is the first one that runs what the folder holds."""

__all__ = [
    "RUNTIME_NAMES",
    "FakeRuntime",
    "Runtime",
    "check_runtime",
    "open_runtime",
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
    is_graph = kind_of(folder) == "onnx"
    chosen = name if name != "auto" else ("ort-cpu" if is_graph else "torch-cpu")
    if chosen == "ort-cpu" and not is_graph:
        raise RunError(
            f"{folder} has no {ONNX_NAME}, which ort-cpu runs; type: bertcompress export {folder}"
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


def open_runtime(folder: Path, name: str = "auto", *, threads: int) -> Runtime:
    """Returns the runtime for an artifact folder, not entered yet.

    Args:
        folder: An artifact folder, or a plain Transformers folder.
        name: One of `RUNTIME_NAMES`, or ``auto``.
        threads: Threads of one run; no runtime takes more.

    Raises:
        UsageError: If there is no runtime of that name.
        RunError: If the runtime asked for can't run what the folder holds.
        MissingDependencyError: If its library is not installed.
    """
    if threads < 1:
        raise UsageError(f"threads must be 1 or more, got {threads}")
    if runtime_for(folder, name) == "ort-cpu":
        from bertcompress.runtimes.ort_runtime import OrtRuntime

        return OrtRuntime(folder / ONNX_NAME, threads=threads)
    from bertcompress.runtimes.torch_runtime import TorchRuntime

    return TorchRuntime(folder, threads=threads)
