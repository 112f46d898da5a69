"""What a model costs by the widths of its layers: time, parameters or operations.

The cost of a single sentence is taken as a sum::

    rest + sum over layers of heads(heads) + ffn(neurons)

Parameters and operations are such a sum exactly (`bertcompress.bert.pruning.sizes`). Time is
measured on whole models: with ``T(h, f)`` the time of the model with `h` heads and `f` neurons in
each of its ``L`` layers::

    heads(h) = (T(h, F) - T(0, F)) / L        ffn(f) = (T(H, f) - T(H, 0)) / L

Whole models, because a single layer timed alone stays in the caches and looks faster than it is.
Between the widths measured, time is interpolated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import UsageError

Measure = Literal["seconds", "parameters", "FLOPs"]


@dataclass(frozen=True)
class CostTable:
    """The cost of one layer's sub-layers by their width, and of all the rest.

    Attributes:
        rest: What does not depend on heads and neurons: embeddings, LayerNorms, the task's head.
        heads: Pairs of a number of heads and the cost of one layer's attention, rising.
        ffn: The same of FFN neurons.
        measure: What it counts.
        deployment: What time was measured on, as people read it: runtime, precision, threads, CPU.
    """

    rest: float
    heads: tuple[tuple[int, float], ...]
    ffn: tuple[tuple[int, float], ...]
    deployment: str = ""
    measure: Measure = "seconds"

    def heads_cost(self, counts: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the cost of a layer's attention for each number of heads."""
        return _interpolated(self.heads, counts)

    def ffn_cost(self, counts: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the cost of a layer's FFN for each number of neurons."""
        return _interpolated(self.ffn, counts)

    def predict(self, layer_heads: Sequence[int], layer_ffn: Sequence[int]) -> float:
        """Returns the cost of a model with these widths."""
        return float(
            self.rest + self.heads_cost(layer_heads).sum() + self.ffn_cost(layer_ffn).sum()
        )


def table_from_totals(
    totals: Mapping[tuple[int, int], float], *, layers: int, deployment: str = ""
) -> CostTable:
    """Takes the times of whole models apart.

    Args:
        totals: Seconds by (heads, neurons) of each layer. One model must have the most of both; all
            others have the most of one, and of each kind one has none of the other.
        layers: How many layers each of the models has.
        deployment: What it was measured on.

    Raises:
        UsageError: If a model is missing.
    """
    most_heads, most_ffn = max(h for h, _ in totals), max(f for _, f in totals)
    needed = {(most_heads, most_ffn), (0, most_ffn), (most_heads, 0)}
    if not needed <= totals.keys() or layers < 1:
        raise UsageError(f"a latency table needs the times of {sorted(needed - totals.keys())}")
    heads = _share({h: s for (h, f), s in totals.items() if f == most_ffn}, layers)
    ffn = _share({f: s for (h, f), s in totals.items() if h == most_heads}, layers)
    whole = totals[most_heads, most_ffn]
    return CostTable(whole - layers * (heads[-1][1] + ffn[-1][1]), heads, ffn, deployment)


def _share(totals: Mapping[int, float], layers: int) -> tuple[tuple[int, float], ...]:
    """Returns one layer's part for each width; more width never takes less time."""
    widths = sorted(totals)
    parts = np.asarray([(totals[width] - totals[0]) / layers for width in widths])
    rising = np.maximum.accumulate(np.maximum(parts, 0.0))
    return tuple((width, float(part)) for width, part in zip(widths, rising, strict=True))


def _interpolated(
    pairs: Sequence[tuple[int, float]], counts: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.float64]:
    xs, ys = zip(*pairs, strict=True)
    found: NDArray[np.float64] = np.interp(np.asarray(counts, dtype=np.float64), xs, ys)
    return found
