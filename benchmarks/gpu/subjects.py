"""What is measured of one model: every runtime that is there, opened once for all steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bertcompress.artifacts.engine_record import PACKED
from bertcompress.errors import BertCompressError
from bertcompress.passes.tensorrt.profiles import Goal
from bertcompress.runtimes import Runtime, open_runtime
from bertcompress.runtimes.torch.runtime import TorchRuntime
from bertcompress.runtimes.torch.settings import TORCH_RUNTIMES, TorchSettings
from gpu.machine import usable
from gpu.models import GRAPHS

GOALS: dict[Goal, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "latency": ((32, 128, 384), (1,)),
    "throughput": ((128, 384), (128,)),
    PACKED: ((384,), (128,)),
}
"""Lengths and batch sizes of each kind of engine."""

BASELINE = "torch-cpu"
"""What answers are compared with: FP32, in eager mode, on the CPU."""

RELATIVE_BOUNDS = {"fp32": 1e-3, "fp16": 2e-2, "bf16": 8e-2, "int8": 0.3, "fp8": 0.3}
"""The largest difference of a logit that is allowed, relative to the largest logit."""

_ON_GPU = {"ort-cuda": ("fp32", "fp16"), "ort-tensorrt": ("fp16", "int8")}


@dataclass(frozen=True)
class Subject:
    """One way to run a model.

    Attributes:
        name: The runtime's name, and the graph's or the engine's.
        runtime: The runtime's name alone.
        precision: What its products compute in, a key of `RELATIVE_BOUNDS`.
        folder: What it runs.
        open: Makes the runtime, not entered.
        is_slow: Whether kernels are compiled when it is opened.
    """

    name: str
    runtime: str
    precision: str
    folder: Path
    open: Callable[[], Runtime]
    is_slow: bool = False


@dataclass(frozen=True)
class ModelFolders:
    """Where one model's forms are.

    Attributes:
        name: What the report calls the model.
        checkpoint: Its checkpoint, or a graph where that is all there is.
        graphs: A folder for each graph, called as in `gpu.models.GRAPHS`.
        engines: A folder for each engine, called after its graph and its goal.
    """

    name: str
    checkpoint: Path
    graphs: Path
    engines: Path


def gpu_subjects(model: ModelFolders, *, threads: int) -> list[Subject]:
    """Returns all ways to run a model on a GPU, whether they are usable here or not."""
    subjects = [
        _torch(model, name, settings, threads)
        for name, settings in TORCH_RUNTIMES.items()
        if settings.device == "cuda"
    ]
    for runtime, graphs in _ON_GPU.items():
        subjects += [_graph(model, runtime, one, threads) for one in graphs]
    for graph in GRAPHS[1:]:
        for goal in GOALS:
            folder = model.engines / f"{graph}-{goal}"
            opened = partial(open_runtime, folder, "tensorrt", threads=threads)
            name = f"tensorrt {graph} {goal}"
            subjects.append(Subject(name, "tensorrt", graph, folder, opened))
    return subjects


def cpu_subjects(model: ModelFolders, *, threads: int) -> list[Subject]:
    """Returns ways to run a model on the CPU, which prove this harness."""
    packed = TorchSettings(packed=True)
    return [
        _torch(model, "torch-cpu", TorchSettings(), threads),
        replace(_torch(model, "torch-cpu", packed, threads), name="torch-cpu packed"),
        *(_graph(model, "ort-cpu", one, threads) for one in ("fp32", "fp16")),
    ]


def why_not(subject: Subject) -> str | None:
    """Returns why a subject can't be measured here, None if it can."""
    found = usable(subject.runtime)
    if found != "usable":
        return found
    return None if subject.folder.is_dir() else f"its {subject.precision} form was not made"


class Opened:
    """Runtimes of one model, opened when first asked for and kept until closed.

    Args:
        subjects: To be opened.
        say: Takes a line for people.
    """

    def __init__(self, subjects: list[Subject], say: Callable[[str], None]) -> None:
        self.subjects = subjects
        self.missing: dict[str, str] = {}
        self.opening_s: dict[str, float] = {}
        self._say = say
        self._stack = ExitStack()
        self._open: dict[str, Runtime] = {}

    def runtimes(self) -> Mapping[str, Runtime]:
        """Returns the runtimes that are open; all that can be, if none was opened so far."""
        if not self._open:
            self.open_all(float("inf"))
        return self._open

    def open_all(self, budget_s: float) -> None:
        """Opens the runtimes; `missing` says why some could not be.

        Args:
            budget_s: When it is over, no further one is begun; the slow ones come last.
        """
        self.missing, began = {}, time.monotonic()
        for subject in sorted(self.subjects, key=lambda one: one.is_slow):
            if subject.name in self._open:
                continue
            reason = why_not(subject)
            started = time.monotonic()
            if reason is None and started - began > budget_s:
                reason = "no time was left to open it"
            if reason is None:
                reason = self._opened(subject)
            self.opening_s[subject.name] = round(time.monotonic() - started, 1)
            if reason is not None:
                self.missing[subject.name] = reason
                self._say(f"  {subject.name}: left out, {reason}")

    def close(self) -> None:
        """Gives all memory back."""
        self._open = {}
        self._stack.close()

    def _opened(self, subject: Subject) -> str | None:
        try:
            self._open[subject.name] = self._stack.enter_context(subject.open())
        except (BertCompressError, RuntimeError, ValueError, OSError) as error:
            return f"{type(error).__name__}: {(str(error).strip() or '?').splitlines()[0]}"
        return None


def _torch(model: ModelFolders, name: str, settings: TorchSettings, threads: int) -> Subject:
    short = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}[settings.dtype]
    return Subject(
        name=name,
        runtime=name,
        precision=settings.eight_bits or short,
        folder=model.checkpoint,
        open=partial(TorchRuntime, model.checkpoint, threads=threads, settings=settings),
        is_slow=settings.compiled,
    )


def _graph(model: ModelFolders, runtime: str, graph: str, threads: int) -> Subject:
    folder = model.graphs / graph
    opened = partial(open_runtime, folder, runtime, threads=threads)
    return Subject(f"{runtime} {graph}", runtime, graph, folder, opened)
