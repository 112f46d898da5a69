"""Removes heads and feed-forward neurons in one shot, and re-fits what is left.

1. One pass over real texts finds what errors of each sub-layer cost (`bert/curvature.py`).
2. A sweep of optimal brain surgeon a sub-layer gives the cost of every number of units, with all
   other units making up for those removed (`bert/obs.py`).
3. A knapsack over all layers chooses how many units each keeps (`numerics/knapsack.py`).
4. Rows and columns are cut out (`bert/surgery.py`), and each output projection is solved for anew,
   from the first layer to the last, against the original model (`bert/refit.py`).

Nothing is trained and no label is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifact import Artifact, Checkpoint, Kind, StepTimer
from bertcompress.bert.curvature import Curvature, Key, curvatures
from bertcompress.bert.obs import Sweep, sweep
from bertcompress.bert.refit import Refitted, refit
from bertcompress.bert.selection import Kept, check_fraction
from bertcompress.bert.structure import layers_of, shape_of
from bertcompress.bert.sublayers import Unit
from bertcompress.bert.surgery import cut
from bertcompress.errors import UsageError
from bertcompress.examples import Example
from bertcompress.numerics.knapsack import cheapest_within
from bertcompress.passes.base import checkpoint_for, settings_of
from bertcompress.passes.pruned import check_counts
from bertcompress.passes.torch_batches import batches_for
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Prune:
    """Removes the heads and neurons that the others make up for best.

    Attributes:
        examples: What everything is measured and fitted on; labels are not needed.
        heads: Of all heads, the part to remove, [0, 1).
        ffn: Of all feed-forward neurons, the part to remove, [0, 1).
        refit: Whether what is left is re-fitted to the original model.
        multiple: A layer's neurons are kept in multiples of this, or all.
        samples: At most this many examples are used, drawn stratified.
        batch_size: Examples of one run.
        max_length: Longest text in tokens; None takes the model's, at most 512.
        seed: Draws the samples, and the targets of the curvature.
    """

    examples: tuple[Example, ...]
    heads: float = 0.0
    ffn: float = 0.0
    refit: bool = True
    multiple: int = 32
    samples: int = 1024
    batch_size: int = 16
    max_length: int | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        check_fraction("heads", self.heads)
        check_fraction("ffn", self.ffn)
        check_counts(multiple=self.multiple, samples=self.samples, batch_size=self.batch_size)
        if not self.heads and not self.ffn:
            raise UsageError("prune must know what to remove; give heads 0.3 or ffn 0.3")
        if not self.examples:
            raise UsageError(
                "prune measures on data and none was given; add --data, or take --score magnitude, "
                "which needs none"
            )

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> Checkpoint:
        """Returns the smaller checkpoint.

        Raises:
            PassError: If the artifact is a graph, or its activations are not finite.
            DataError: If the examples do not fit the task.
        """
        checkpoint = checkpoint_for(self, artifact)
        timer = StepTimer(checkpoint)
        model = checkpoint.model
        batches = batches_for(
            checkpoint,
            self.examples,
            samples=self.samples,
            batch_size=self.batch_size,
            max_length=self.max_length,
            seed=self.seed,
        )
        found, weights = curvatures(model, batches, seed=self.seed, progress=progress)
        sweeps = _sweeps(model, found, heads=self.heads > 0, ffn=self.ffn > 0, progress=progress)
        shape = shape_of(model)
        heads = _kept(sweeps, "heads", shape.layer_heads, self.heads, 1)
        ffn = _kept(sweeps, "ffn", shape.layer_ffn, self.ffn, self.multiple)
        smaller = cut(model, heads=heads, ffn=ffn)
        fitted: list[Refitted] = []
        if self.refit and len(batches) > 1:
            fitted = refit(model, smaller, batches, weights=weights, progress=progress)
        result = replace(checkpoint, model=smaller)
        samples = sum(batch.size for batch in batches)
        removed = [
            sum(shape.layer_heads) - sum(map(len, heads)),
            sum(shape.layer_ffn) - sum(map(len, ffn)),
        ]
        step = timer.step(
            "Prune",
            settings_of(self),
            result,
            details={
                "layers": _table(shape.layer_heads, shape.layer_ffn, heads, ffn, fitted),
                "removed": f"{removed[0]} of {sum(shape.layer_heads)} heads, {removed[1]} of "
                f"{sum(shape.layer_ffn)} neurons",
                "notes": [
                    f"measured on {samples} samples, no labels; "
                    f"{'the rest re-fitted' if fitted else 'not re-fitted'}"
                ],
            },
        )
        return replace(result, history=(*checkpoint.history, step))


def _sweeps(
    model: PreTrainedModel,
    found: dict[Key, Curvature],
    *,
    heads: bool,
    ffn: bool,
    progress: Progress,
) -> dict[Key, Sweep]:
    """Sweeps every sub-layer that is pruned; an output's error counts as much as it costs."""
    head_size = shape_of(model).head_size
    wanted: list[tuple[Key, nn.Linear, int]] = []
    for layer in layers_of(model):
        if heads and layer.attention_output is not None:
            wanted.append((("heads", layer.index), layer.attention_output, head_size))
        if ffn and layer.ffn_output is not None:
            wanted.append((("ffn", layer.index), layer.ffn_output, 1))
    made: dict[Key, Sweep] = {}
    for number, (key, dense, width) in enumerate(wanted):
        progress("sweep", number, len(wanted))
        weight = dense.weight.detach().double() * found[key].rows.sqrt()[:, None]
        made[key] = sweep(weight, found[key].hessian, width=width)
    progress("sweep", len(wanted), len(wanted))
    return made


def _kept(
    sweeps: dict[Key, Sweep],
    unit: Unit,
    counts: Sequence[int],
    fraction: float,
    multiple: int,
) -> Kept:
    """Chooses how many units each layer keeps, and which."""
    if not fraction:
        return tuple(tuple(range(count)) for count in counts)
    levels = [_levels(count, multiple) for count in counts]
    costs: list[NDArray[np.float64]] = []
    for layer, choices in enumerate(levels):
        own = sweeps.get((unit, layer))
        errors = own.errors if own is not None else np.zeros(1)
        costs.append(errors[counts[layer] - choices])
    budget = float(round((1 - fraction) * sum(counts)))
    chosen = cheapest_within(
        costs,
        [choices.astype(np.float64) for choices in levels],
        budget,
        buckets=max(1, int(budget)),
    )
    assert chosen is not None  # every layer may be emptied
    kept = []
    for layer, level in enumerate(chosen):
        own = sweeps.get((unit, layer))
        kept.append(own.kept(int(levels[layer][level])) if own is not None else ())
    return tuple(kept)


def _levels(count: int, multiple: int) -> NDArray[np.int64]:
    """Returns how many units a layer may keep: none, whole multiples, or all."""
    return np.asarray(sorted({*range(0, count, multiple), count}), dtype=np.int64)


def _table(
    heads_before: Sequence[int],
    ffn_before: Sequence[int],
    heads: Kept,
    ffn: Kept,
    fitted: Sequence[Refitted],
) -> list[dict[str, object]]:
    errors = {(one.unit, one.layer): one for one in fitted}
    rows: list[dict[str, object]] = []
    for layer in range(len(heads)):
        row: dict[str, object] = {
            "layer": layer,
            "heads_before": heads_before[layer],
            "heads_after": len(heads[layer]),
            "ffn_before": ffn_before[layer],
            "ffn_after": len(ffn[layer]),
        }
        for unit, name in (("heads", "attention"), ("ffn", "ffn")):
            one = errors.get((unit, layer))  # type: ignore[arg-type]  # both are units
            if one is not None:
                gain = 1 - one.error_after / one.error_before if one.error_before else 0.0
                row[f"{name}_error_removed"] = f"{gain:.0%}" if one.accepted else "kept"
        rows.append(row)
    return rows
