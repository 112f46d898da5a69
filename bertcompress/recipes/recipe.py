"""What a recipe is: a model, its data, and the passes that make each variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bertcompress.bench.settings import BenchSettings
from bertcompress.gates.gate import GateLimits
from bertcompress.passes.base import AnyPass
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.recipes.data_source import DataSource

T = TypeVar("T")


@dataclass(frozen=True)
class Recipe:
    """Variants of one model: how they are made and measured.

    Attributes:
        name: What messages call it.
        model: A folder or a hub name.
        output: The folder for everything.
        variants: The passes of each; the first is the baseline.
        task: The task's name, where the model does not say it.
        data: Where all examples come from.
        seed: For everything drawn outside of passes, and for each step of a file without its own.
        base: Passes that all variants begin with.
        bench: How much is measured; None measures nothing.
        gate: Bounds that the report must keep.
    """

    name: str
    model: str
    output: Path
    variants: Mapping[str, tuple[AnyPass, ...]]
    task: str | None = None
    data: DataSource | None = None
    seed: int = 0
    base: tuple[AnyPass, ...] = ()
    bench: BenchSettings | None = None
    gate: GateLimits | None = None


def with_exports(
    passes: Sequence[AnyPass], *, is_graph: bool, graph_wanted: bool, seed: int = 0
) -> tuple[AnyPass, ...]:
    """Puts an export before the first pass that works on a graph, and last if one is wanted."""
    chain: list[AnyPass] = []
    for pass_ in passes:
        if pass_.consumes == "onnx" and not is_graph:
            chain.append(ExportOnnx(seed=seed))
            is_graph = True
        chain.append(pass_)
        is_graph = is_graph or pass_.produces != "checkpoint"
    if graph_wanted and not is_graph:
        chain.append(ExportOnnx(seed=seed))
    return tuple(chain)


def or_default(value: T | None, default: T) -> T:
    """Returns a setting that was given, or else its pass's own."""
    return default if value is None else value
