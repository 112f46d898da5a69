"""Which tensor of a graph is the first to differ from the model that the graph came from.

A bisection over the graph's `WatchPoint`s. For each point that is tried, the graph is given that
one tensor as a further output and is run in the runtime that is in question: more outputs at a
time would keep the runtime from fusing what it fuses when the graph is deployed, and the fault may
be in a fused kernel.

Source: the debug tools of Polygraphy, https://docs.nvidia.com/deeplearning/tensorrt/polygraphy/
"""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.artifacts.graph_file import ONNX_NAME
from bertcompress.bert.loading.load import load
from bertcompress.parity.outputs import signal_and_noise
from bertcompress.parity.watch_points import Side, WatchPoint, watch_points, with_outputs
from bertcompress.runtimes import open_runtime
from bertcompress.runtimes.ort.runtime import run_graph
from bertcompress.tasks.base import IntArray

if TYPE_CHECKING:
    import onnx
    from transformers import PreTrainedModel

_SCALED = (
    *(("attention.self.value", "output"), ("attention.output.dense", "input")),
    *(("attention.v_lin", "output"), ("attention.out_lin", "input")),
)
"""Between these, smoothed graphs have other values by right: see
`bertcompress.graph.integer.smoothing`."""

P = TypeVar("P")
Feed = Mapping[str, IntArray]
Values = NDArray[np.generic]
Place = tuple[str, Side]


@dataclass(frozen=True)
class Divergence:
    """The first tensor that differs.

    Attributes:
        module: The module path of its weight product; empty if all products agree.
        side: Whether what goes into the product differs, or only what comes out.
        sqnr_db: Signal-to-noise ratio there, decibels; None where values are not finite.
        allowed_db: What is taken for a difference: a ratio below this.
        tried: Points that were compared.
    """

    module: str
    side: Side
    sqnr_db: float | None
    allowed_db: float
    tried: int

    @property
    def sentence(self) -> str:
        """The finding in words."""
        if not self.module:
            return "all weight products agree; what differs comes after the last of them"
        ratio = "not finite" if self.sqnr_db is None else f"{self.sqnr_db:.1f} dB"
        against = f"(SQNR {ratio}, {self.allowed_db:.0f} dB would agree)"
        if self.side == "input":
            return (
                f"the first to diverge is what goes into {self.module} {against}: every product "
                "before it agrees"
            )
        return (
            f"the first to diverge is {self.module} {against}: what goes into it agrees, its "
            "result does not"
        )


def first_diverging(
    groups: Sequence[Sequence[P]], diverges: Callable[[P], bool]
) -> tuple[tuple[P, ...], int]:
    """Returns the first point that diverges, nothing if none does, and how many were asked.

    Args:
        groups: Points in the order in which they are computed; if a group's last point does not
            diverge, no point before it does.
        diverges: Is asked of about ``log2(groups)`` ends and the points of one group.
    """
    asked: dict[P, bool] = {}

    def ask(point: P) -> bool:
        if point not in asked:
            asked[point] = diverges(point)
        return asked[point]

    at = bisect_left(range(len(groups)), True, key=lambda group: ask(groups[group][-1]))
    first = () if at == len(groups) else (next(filter(ask, groups[at])),)
    return first, len(asked)


def find_divergence(
    reference: Path,
    folder: Path,
    runtime: str,
    feed: Feed,
    *,
    allowed_db: float,
    threads: int = 1,
) -> Divergence | None:
    """Finds the first tensor of a graph that differs from the reference's.

    Args:
        reference: The folder of the checkpoint, or of a graph, that is right.
        folder: The folder of the graph.
        runtime: What runs it.
        feed: One batch on which the answers differ.
        allowed_db: A lower ratio than this is a difference.
        threads: Threads of one run.

    Returns:
        None where the artifacts have no modules in common, so that nothing can be compared.
    """
    loaded = load(folder)
    if not isinstance(loaded, OnnxModel):
        return None
    values = _values_of(reference, feed)
    hidden = _SCALED if any(step.name == "SmoothActivations" for step in loaded.history) else ()
    known = [
        [one for one in group if one.place in values and not _is_one_of(one, hidden)]
        for group in watch_points(loaded.graph)
    ]
    groups = [group for group in known if group]
    if not groups:
        return None

    @cache
    def ratio(point: WatchPoint) -> float:
        watched = _value(loaded.graph, folder, runtime, point.tensor, feed, threads)
        return point_sqnr_db(values[point.place], watched, feed["attention_mask"])

    def diverges(point: WatchPoint) -> bool:
        return not ratio(point) >= allowed_db

    first, tried = first_diverging(groups, diverges)
    if not first:
        return Divergence("", "output", None, allowed_db, tried)
    (point,) = first
    found = ratio(point) if math.isfinite(ratio(point)) else None
    return Divergence(point.module, point.side, found, allowed_db, tried)


def _is_one_of(point: WatchPoint, places: Sequence[tuple[str, str]]) -> bool:
    return any(point.module.endswith(name) and point.side == side for name, side in places)


def point_sqnr_db(expected: Values, got: Values, mask: IntArray) -> float:
    """Returns the signal-to-noise ratio of a tensor over the real tokens, decibels.

    Args:
        expected: ``[batch, sequence, width]``, ``[batch * sequence, width]`` or, of one token,
            ``[batch, 1, width]`` or ``[batch, width]``.
        got: The same values in any of these shapes; where it has one token of each text, that is
            the first.
        mask: ``[batch, sequence]``, 1 for real tokens.

    Returns:
        Infinite where nothing differs, not a number where values are not finite.
    """
    width, batch = expected.shape[-1], mask.shape[0]
    a, b = expected.reshape(-1, width), got.reshape(-1, width)
    if len(b) == batch and len(a) == mask.size:
        a = a.reshape(*mask.shape, width)[:, 0]
    if len(b) == mask.size:
        real = mask.reshape(-1).astype(bool)
        a, b = a[real], b[real]
    signal, noise = signal_and_noise(a, b)
    if noise == 0:
        return math.inf
    return 10 * math.log10(max(signal, 1e-30) / noise) if math.isfinite(noise) else math.nan


def _values_of(reference: Path, feed: Feed) -> dict[Place, Values]:
    artifact = load(reference)
    if isinstance(artifact, Checkpoint):
        return _module_values(artifact.model, feed)
    points = [point for group in watch_points(artifact.graph) for point in group]
    watched = with_outputs(artifact.graph, tuple(point.tensor for point in points))
    (outputs,) = run_graph(watched, [feed])
    return {point.place: outputs[point.tensor] for point in points}


def _module_values(model: PreTrainedModel, feed: Feed) -> dict[Place, Values]:
    """Runs a model and keeps what goes into and out of each of its linear layers."""
    import torch

    from bertcompress.runtimes.torch.runtime import TorchRuntime

    values: dict[Place, Values] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: object, given: tuple[torch.Tensor, ...], result: torch.Tensor) -> None:
            values[name, "input"], values[name, "output"] = given[0].numpy(), result.numpy()

        return hook

    with contextlib.ExitStack() as hooks:
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.Linear):
                hooks.callback(module.register_forward_hook(keep(name)).remove)
        with TorchRuntime(model, threads=torch.get_num_threads()) as runtime:
            runtime.run({name: feed[name] for name in runtime.input_names})
    return values


def _value(
    graph: onnx.ModelProto, folder: Path, runtime: str, tensor: str, feed: Feed, threads: int
) -> Values:
    """Runs the graph with one more output, from a folder of its own, and returns that output."""
    import onnx

    with tempfile.TemporaryDirectory(prefix="bertcompress-parity-") as scratch:
        place = Path(scratch)
        (place / ONNX_NAME).parent.mkdir(parents=True)
        shutil.copy(folder / "config.json", place)
        onnx.save_model(with_outputs(graph, (tensor,)), str(place / ONNX_NAME))
        with open_runtime(place, runtime, threads=threads) as opened:
            outputs = opened.run({name: feed[name] for name in opened.input_names})
            return outputs[tensor if tensor in outputs else opened.outputs[-1]]
