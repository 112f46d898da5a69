"""The list of runtimes: one entry for each name that ``--runtime`` takes, and nothing elsewhere.

An entry says what kind of artifact it runs, how to tell whether it can run here, and how to open
it. This file imports no library: each is imported when its own entry is checked or opened, because
the process that measures an artifact must hold nothing but the runtime it measures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from bertcompress.artifacts.graph_file import ONNX_NAME, graph_path
from bertcompress.artifacts.manifest import Kind, read_manifest
from bertcompress.artifacts.model_config import task_of_class
from bertcompress.errors import RunError
from bertcompress.runtimes.base import Runtime, SharedRuntime
from bertcompress.runtimes.torch.settings import TORCH_RUNTIMES, TorchSettings

if TYPE_CHECKING:
    from bertcompress.runtimes.fitting import ModelFacts
    from bertcompress.runtimes.openvino.runtime import OpenVinoRuntime
    from bertcompress.runtimes.tensorrt.runtime import TensorRtRuntime

Check = Callable[[], None]

OpenStreams = Callable[[Path, int, int], AbstractContextManager[Sequence[Runtime]]]


class Open(Protocol):
    """Makes the runtime of an artifact folder and a number of threads; not entered."""

    def __call__(self, folder: Path, threads: int, task: str | None = None, /) -> Runtime:
        """Returns it; `task` is what a checkpoint is opened for, if it does not say it itself."""
        ...


@dataclass(frozen=True)
class Entry:
    """One runtime.

    Attributes:
        name: What ``--runtime`` calls it.
        runs: The kind of artifact that it runs.
        check: Fails with a MissingError if its library or its device is not there.
        open: Makes the runtime of an artifact folder, see `Open`.
        open_streams: Opens a folder for so many runs at a time, each with so many threads, where
            runs can share the weights; None where each run needs a runtime of its own.
        on_gpu: Whether it needs an NVIDIA GPU.
    """

    name: str
    runs: Kind
    check: Check
    open: Open
    open_streams: OpenStreams | None = None
    on_gpu: bool = False


def _check_ort() -> None:
    from bertcompress.runtimes.ort.runtime import import_onnxruntime

    import_onnxruntime("running an ONNX graph")


def _open_ort(folder: Path, threads: int, task: str | None = None) -> Runtime:
    from bertcompress.runtimes.ort.providers import ProviderSettings
    from bertcompress.runtimes.ort.runtime import OrtRuntime

    settings = ProviderSettings(longest=_longest_said(folder))
    return OrtRuntime(
        graph_of(folder), threads=threads, settings=settings, facts=facts_of(folder, task)
    )


def _check_ort_on_gpu(name: str) -> None:
    from bertcompress.runtimes.ort.runtime import check_provider

    check_provider(name)


def _open_ort_cuda(folder: Path, threads: int, task: str | None = None) -> Runtime:
    from bertcompress.runtimes.ort.providers import ProviderSettings
    from bertcompress.runtimes.ort.runtime import OrtRuntime

    settings = ProviderSettings("cuda", graphs=True, longest=_longest(folder))
    return OrtRuntime(
        graph_of(folder), threads=threads, settings=settings, facts=facts_of(folder, task)
    )


def _open_ort_tensorrt(folder: Path, threads: int, task: str | None = None) -> Runtime:
    from bertcompress.runtimes.ort.providers import ProviderSettings, ShapeRange
    from bertcompress.runtimes.ort.runtime import OrtRuntime

    longest = _longest(folder)
    shapes = ShapeRange(usual=(8, min(128, longest)), most=(128, min(512, longest)))
    root = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    cache = root / "bertcompress" / "ort-tensorrt"
    settings = ProviderSettings("tensorrt", longest=longest, shapes=shapes, cache=cache)
    return OrtRuntime(
        graph_of(folder), threads=threads, settings=settings, facts=facts_of(folder, task)
    )


def _ort_gpu_entry(name: str, opened: Open) -> Entry:
    return Entry(name, "onnx", partial(_check_ort_on_gpu, name), opened, on_gpu=True)


def _longest(folder: Path) -> int:
    from bertcompress.bert.families import longest_text
    from bertcompress.bert.loading.config_file import read_fields

    return longest_text(read_fields(folder))


def _longest_said(folder: Path) -> int | None:
    return _longest(folder) if (folder / "config.json").is_file() else None


def graph_of(folder: Path) -> Path:
    """Returns the file of a folder's graph.

    Raises:
        LoadError: If there are several, and none has the usual name.
        RunError: If there is none.
    """
    path = graph_path(folder)
    if path is None:
        raise RunError(f"there is no graph {folder / ONNX_NAME}")
    return path


def facts_of(folder: Path, task: str | None = None) -> ModelFacts | None:
    """Returns what a folder says of the model whose graph it holds, None if nothing.

    Args:
        folder: The model's.
        task: Its task, where the folder says none or another.
    """
    from bertcompress.bert.families import first_position, input_names_of, known_family
    from bertcompress.bert.loading.config_file import read_fields
    from bertcompress.graph.signature import SEGMENTS
    from bertcompress.runtimes.fitting import ModelFacts

    if not (folder / "config.json").is_file():
        return None
    fields, manifest = read_fields(folder), read_manifest(folder)
    family = known_family(fields.get("model_type"))
    classes = [task_of_class(name) for name in cast("list[str]", fields.get("architectures") or [])]
    said = manifest.task if manifest is not None else next(iter(classes), None)
    task = task or said
    if family is None:
        return ModelFacts(str(folder), task)
    segments = cast("int", fields.get("type_vocab_size", 2) or 0)
    return ModelFacts(
        str(folder),
        task,
        segments=SEGMENTS in input_names_of(family, segments=segments),
        first_position=first_position(fields),
    )


def _open_torch(
    settings: TorchSettings, folder: Path, threads: int, task: str | None = None
) -> Runtime:
    from bertcompress.runtimes.torch.runtime import TorchRuntime

    return TorchRuntime(folder, threads=threads, settings=settings, task=task)


def _check_torch(name: str, settings: TorchSettings) -> None:
    if settings.device == "cpu":
        return  # torch is a dependency of bertcompress: there is nothing to miss
    from bertcompress.machine.gpus import require_gpu

    require_gpu(name)
    from bertcompress.runtimes.torch.runtime import check_cuda

    check_cuda(name, settings)


def _torch_entry(name: str) -> Entry:
    settings = TORCH_RUNTIMES[name]
    check, opened = partial(_check_torch, name, settings), partial(_open_torch, settings)
    return Entry(name, "checkpoint", check, opened, on_gpu=settings.device == "cuda")


def _check_openvino() -> None:
    from bertcompress.runtimes.openvino.runtime import import_openvino

    import_openvino("running a graph in OpenVINO")


def _openvino(precision: str, folder: Path, threads: int, streams: int = 1) -> OpenVinoRuntime:
    from bertcompress.runtimes.openvino.runtime import OpenVinoRuntime

    return OpenVinoRuntime(
        graph_of(folder),
        threads=threads,
        streams=streams,
        precision=precision,
        longest=_longest_said(folder),
        facts=facts_of(folder),
    )


@contextmanager
def _openvino_streams(
    precision: str, folder: Path, streams: int, threads: int
) -> Iterator[Sequence[Runtime]]:
    with _shared(_openvino(precision, folder, threads, streams), streams) as opened:
        yield opened


def _open_openvino(precision: str, folder: Path, threads: int, task: str | None = None) -> Runtime:
    return _openvino(precision, folder, threads)


def _openvino_entry(name: str, precision: str) -> Entry:
    return Entry(
        name,
        "onnx",
        _check_openvino,
        partial(_open_openvino, precision),
        partial(_openvino_streams, precision),
    )


def _check_tensorrt() -> None:
    from bertcompress.runtimes.tensorrt.library import import_tensorrt

    import_tensorrt("running a TensorRT engine")


def _tensorrt(folder: Path) -> TensorRtRuntime:
    from bertcompress.runtimes.tensorrt.runtime import TensorRtRuntime

    return TensorRtRuntime(folder)


def _open_tensorrt(folder: Path, threads: int, task: str | None = None) -> Runtime:
    return _tensorrt(folder)


@contextmanager
def _tensorrt_streams(folder: Path, streams: int, threads: int) -> Iterator[Sequence[Runtime]]:
    with _shared(_tensorrt(folder), streams) as opened:
        yield opened


@contextmanager
def _shared(first: SharedRuntime, streams: int) -> Iterator[Sequence[Runtime]]:
    """Opens a runtime, and as many more streams of it as are missing."""
    with ExitStack() as stack:
        stack.enter_context(first)
        yield [first, *(stack.enter_context(first.another()) for _ in range(streams - 1))]


CATALOG = (
    Entry("ort-cpu", "onnx", _check_ort, _open_ort),
    _torch_entry("torch-cpu"),
    _openvino_entry("openvino", "f32"),
    _openvino_entry("openvino-bf16", "bf16"),
    Entry(
        "tensorrt",
        "engine",
        _check_tensorrt,
        _open_tensorrt,
        _tensorrt_streams,
        on_gpu=True,
    ),
    _ort_gpu_entry("ort-cuda", _open_ort_cuda),
    _ort_gpu_entry("ort-tensorrt", _open_ort_tensorrt),
    *(_torch_entry(name) for name in TORCH_RUNTIMES if name != "torch-cpu"),
)
"""All runtimes. ``auto`` is the first one that runs the kind of artifact at hand."""

ENTRIES = {entry.name: entry for entry in CATALOG}
