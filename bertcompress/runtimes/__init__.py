"""Runtimes: arrays in, arrays out, one file for each library.

`open_runtime` picks one by name; `bertcompress.runtimes.catalog` lists them. Neither file imports
a library: the process that measures an artifact imports it, and must hold nothing but the runtime
it measures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bertcompress.artifacts.graph_file import ONNX_NAME, graph_path
from bertcompress.artifacts.manifest import kind_of
from bertcompress.errors import MissingError, RunError, UsageError, did_you_mean
from bertcompress.runtimes.base import FakeRuntime, Runtime
from bertcompress.runtimes.catalog import CATALOG, ENTRIES, Entry

RUNTIME_NAMES = tuple(ENTRIES)
"""The runtimes; ``auto`` is the first one that runs what the folder holds.

``openvino`` computes floats in FP32; BF16 is another runtime to choose, with settings of its own.
``tensorrt`` runs the engine of a folder that has one, and nothing else.
"""

__all__ = [
    "RUNTIME_NAMES",
    "FakeRuntime",
    "Runtime",
    "check_runtime",
    "open_entry",
    "open_runtime",
    "open_runtimes",
    "runtime_for",
    "why_unusable",
]


def runtime_for(folder: Path, name: str = "auto") -> str:
    """Returns the name of the runtime that will run the folder.

    Raises:
        UsageError: If there is no runtime of that name.
        RunError: If the runtime asked for can't run what the folder holds.
        MissingDependencyError: If its library is not installed.
        MissingHardwareError: If its device is not there.
    """
    if name != "auto" and name not in ENTRIES:
        raise UsageError(
            f"there is no runtime {name!r}; the runtimes are auto, {', '.join(RUNTIME_NAMES)}"
            + did_you_mean(name, RUNTIME_NAMES)
        )
    kind = kind_of(folder)
    chosen = name if name != "auto" else next(one.name for one in CATALOG if one.runs == kind)
    wanted = ENTRIES[chosen].runs
    if wanted == "engine" and kind != "engine":
        raise RunError(
            f"{folder} has no engine, which {chosen} runs; type: bertcompress build {folder} -o OUT"
        )
    if wanted == "onnx" and kind == "checkpoint" and graph_path(folder) is None:
        raise RunError(
            f"{folder} has no {ONNX_NAME}, which {chosen} runs; type: bertcompress export {folder}"
        )
    if wanted == "checkpoint" and kind != "checkpoint":
        raise RunError(f"{folder} holds a graph, which {chosen} can't run; leave --runtime out")
    check_runtime(chosen)
    return chosen


def check_runtime(name: str) -> None:
    """Fails with a MissingError if the runtime's library is not installed, or its device missing.

    Args:
        name: One of `RUNTIME_NAMES`.
    """
    ENTRIES[name].check()


def why_unusable(name: str) -> str | None:
    """Returns the sentence that says why a runtime can't run here, None if it can.

    Args:
        name: One of `RUNTIME_NAMES`.
    """
    try:
        check_runtime(name)
    except MissingError as error:
        return str(error)
    return None


def open_runtime(
    folder: Path, name: str = "auto", *, threads: int, task: str | None = None
) -> Runtime:
    """Returns the runtime for an artifact folder, not entered yet.

    Args:
        folder: An artifact folder, or a plain Transformers folder.
        name: One of `RUNTIME_NAMES`, or ``auto``.
        threads: Threads of one run; no runtime takes more, and TensorRT none but the caller's.
        task: What a checkpoint is opened for, if it does not say it itself.

    Raises:
        UsageError: If there is no runtime of that name.
        RunError: If the runtime asked for can't run what the folder holds.
        MissingDependencyError: If its library is not installed.
        MissingHardwareError: If its device is not there.
    """
    _check_count("threads", threads)
    return ENTRIES[runtime_for(folder, name)].open(folder, threads, task)


@contextmanager
def open_runtimes(
    folder: Path, name: str = "auto", *, streams: int, threads: int
) -> Iterator[Sequence[Runtime]]:
    """Opens an artifact for the given number of runs at a time.

    Args:
        folder: As in `open_runtime`, which raises the same errors.
        name: One of `RUNTIME_NAMES`, or ``auto``.
        streams: How many runtimes.
        threads: Threads of each.

    Raises:
        UsageError: If streams or threads are below 1.
    """
    _check_count("streams", streams)
    _check_count("threads", threads)
    entry = ENTRIES[runtime_for(folder, name)]
    with open_entry(entry, folder, streams=streams, threads=threads) as runtimes:
        yield runtimes


@contextmanager
def open_entry(
    entry: Entry, folder: Path, *, streams: int, threads: int, task: str | None = None
) -> Iterator[Sequence[Runtime]]:
    """Opens an artifact in a runtime that `runtime_for` gave for it.

    OpenVINO and TensorRT share the weights between streams; of other runtimes each has its own.

    Args:
        entry: The runtime's, of `ENTRIES`.
        folder: The artifact.
        streams: How many runtimes.
        threads: Threads of each.
        task: What a checkpoint is opened for, if it does not say it itself.
    """
    with ExitStack() as stack:
        if entry.open_streams is not None:
            yield stack.enter_context(entry.open_streams(folder, streams, threads))
            return
        yield [stack.enter_context(entry.open(folder, threads, task)) for _ in range(streams)]


def _check_count(what: str, count: int) -> None:
    if count < 1:
        raise UsageError(f"{what} must be 1 or more, got {count}")
