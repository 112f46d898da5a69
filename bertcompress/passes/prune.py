"""Removes heads and feed-forward neurons in one shot, and re-fits what is left.

1. One pass over real texts finds what errors of each sub-layer cost (`bert/curvature.py`).
2. A sweep of optimal brain surgeon a sub-layer gives the cost of every number of units, with all
   other units making up for those removed (`bert/obs.py`).
3. A knapsack over all layers chooses how many units each keeps (`numerics/knapsack.py`).
4. Rows and columns are cut out (`bert/surgery.py`), and each output projection is solved for anew,
   from the first layer to the last, against the original model (`bert/refit.py`).

Nothing is trained and no label is looked at. Instead of fractions, a speed-up can be asked for: the
knapsack then counts the time of each width, measured where the model will be deployed, and the
result is measured too; if it misses the target, the goal is corrected and all is chosen anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifact import Artifact, Checkpoint, Kind, StepTimer
from bertcompress.bert.agreement import agreement
from bertcompress.bert.refit import HELD_OUT, Refitted, refit
from bertcompress.bert.sample_losses import Batch
from bertcompress.bert.selection import Kept, check_fraction
from bertcompress.bert.structure import shape_of
from bertcompress.bert.sublayers import Unit
from bertcompress.bert.surgery import cut
from bertcompress.bert.sweeps import swept
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example
from bertcompress.latency_table import LatencyTable
from bertcompress.numerics.knapsack import cheapest_within
from bertcompress.passes.base import NOT_A_SETTING, checkpoint_for, settings_of
from bertcompress.passes.pruned import check_counts
from bertcompress.passes.torch_batches import batches_for
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TRIES = 3
_TOLERANCE = 0.02
"""A target is met if the measured speed-up is no further below it; timing has noise."""


class MeasuresLatency(Protocol):
    """Times models as they will be deployed; `bertcompress.bench.measure_latency` does."""

    def table(self, checkpoint: Checkpoint, *, progress: Progress) -> LatencyTable:
        """Measures the latency table for models like this one."""
        ...

    def seconds(self, models: Mapping[str, Checkpoint], *, progress: Progress) -> dict[str, float]:
        """Measures whole models against each other."""
        ...


@dataclass(frozen=True)
class Prune:
    """Removes the heads and neurons that the others make up for best.

    Attributes:
        examples: What everything is measured and fitted on; labels are not needed.
        heads: Of all heads, the part to remove, [0, 1).
        ffn: Of all feed-forward neurons, the part to remove, [0, 1).
        target_speedup: How many times as fast the model shall be, instead of the two fractions.
        latency: Measures where and how it will be deployed; needed for a target.
        refit: Whether what is left is re-fitted to the original model.
        multiple: A layer's neurons are kept in multiples of this, or all.
        samples: At most this many examples are used, drawn stratified.
        batch_size: Examples of one run.
        max_length: Longest text in tokens; None takes the model's, at most 512.
        seed: Draws the samples, and the targets of the curvature.
        state_folder: Where to keep what is needed to go on after an interruption; None keeps
            nothing.
    """

    examples: tuple[Example, ...]
    heads: float = 0.0
    ffn: float = 0.0
    target_speedup: float | None = None
    latency: MeasuresLatency | None = None
    refit: bool = True
    multiple: int = 32
    samples: int = 1024
    batch_size: int = 16
    max_length: int | None = None
    seed: int = 0
    state_folder: str | None = field(default=None, metadata=NOT_A_SETTING)

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        check_fraction("heads", self.heads)
        check_fraction("ffn", self.ffn)
        check_counts(multiple=self.multiple, samples=self.samples, batch_size=self.batch_size)
        fractions = bool(self.heads or self.ffn)
        if fractions == (self.target_speedup is not None):
            raise UsageError(
                "prune must know what to remove; give heads 0.3 or ffn 0.3, or a target speed-up"
                + (", not both" if fractions else "")
            )
        if self.target_speedup is not None and not 1.0 < self.target_speedup < 100.0:
            raise UsageError(
                f"target_speedup must be above 1, got {self.target_speedup:g}; 1.5 asks for a "
                "model that takes two thirds of the time"
            )
        if self.target_speedup is not None and self.latency is None:
            raise UsageError("a target speed-up needs latency, what measures the deployment")
        if not self.examples:
            raise UsageError(
                "prune measures on data and none was given; add --data, or take --score magnitude, "
                "which needs none"
            )

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> Checkpoint:
        """Returns the smaller checkpoint.

        Raises:
            PassError: If the artifact is a graph, its activations are not finite, or the target
                can't be met.
            DataError: If the examples do not fit the task.
        """
        checkpoint = checkpoint_for(self, artifact)
        timer = StepTimer(checkpoint)
        batches = batches_for(
            checkpoint,
            self.examples,
            samples=self.samples,
            batch_size=self.batch_size,
            max_length=self.max_length,
            seed=self.seed,
        )
        work = _Work(self, checkpoint, batches, progress)
        if self.target_speedup is None:
            made = work.with_fractions()
        else:
            made = work.with_target(self.target_speedup)
        result = replace(checkpoint, model=made.model)
        step = timer.step("Prune", settings_of(self), result, details=made.details)
        return replace(result, history=(*checkpoint.history, step))


@dataclass(frozen=True)
class _Made:
    """A smaller model and what is told of it."""

    model: PreTrainedModel
    details: dict[str, object]


class _Work:
    """One run of the pass: what is measured once, and models made from it."""

    def __init__(
        self,
        settings: Prune,
        checkpoint: Checkpoint,
        batches: Sequence[Batch],
        progress: Progress,
    ) -> None:
        self._settings = settings
        self._checkpoint = checkpoint
        self._model = checkpoint.model
        self._batches = batches
        self._progress = progress
        self._shape = shape_of(checkpoint.model)
        targeted = settings.target_speedup is not None
        found = swept(
            checkpoint.model,
            batches,
            heads=targeted or settings.heads > 0,
            ffn=targeted or settings.ffn > 0,
            seed=settings.seed,
            state_folder=settings.state_folder,
            progress=progress,
        )
        self._sweeps, self._weights = found.sweeps, found.weights

    def with_fractions(self) -> _Made:
        """Removes the parts of all heads and of all neurons that were asked for."""
        own, shape = self._settings, self._shape
        heads = self._kept_of("heads", shape.layer_heads, own.heads, 1)
        ffn = self._kept_of("ffn", shape.layer_ffn, own.ffn, own.multiple)
        return self._made(heads, ffn)

    def with_target(self, speedup: float) -> _Made:
        """Removes as much as the target takes; corrects once by what was measured.

        Raises:
            PassError: If no number of units meets the target.
        """
        latency, shape = self._settings.latency, self._shape
        assert latency is not None  # __post_init__ asked for it
        table = latency.table(self._checkpoint, progress=self._progress)
        dense_s = table.predict(shape.layer_heads, shape.layer_ffn)
        correction = 1.0
        for _ in range(_TRIES):
            goal_s = dense_s / speedup * correction
            heads, ffn = self._kept_within(table, goal_s, speedup)
            made = self._made(heads, ffn)
            smaller = replace(self._checkpoint, model=made.model)
            seconds = latency.seconds(
                {"original": self._checkpoint, "pruned": smaller}, progress=self._progress
            )
            measured = seconds["original"] / seconds["pruned"]
            predicted = dense_s / table.predict(
                [len(units) for units in heads], [len(units) for units in ffn]
            )
            if measured >= speedup * (1 - _TOLERANCE):
                break
            correction *= measured / speedup
        made.details["speed"] = {
            "asked": f"{speedup:.2f}x",
            "predicted": f"{predicted:.2f}x",
            "measured": f"{measured:.2f}x",
            "milliseconds a sentence, before": round(seconds["original"] * 1e3, 3),
            "milliseconds a sentence, after": round(seconds["pruned"] * 1e3, 3),
            "on": table.deployment,
        }
        return made

    def _kept_of(self, unit: Unit, counts: Sequence[int], fraction: float, multiple: int) -> Kept:
        """Chooses units of one kind: so many over all layers, wherever they cost the least."""
        if not fraction:
            return tuple(tuple(range(count)) for count in counts)
        levels = [_levels(count, multiple) for count in counts]
        costs = [self._costs(unit, layer, levels[layer]) for layer in range(len(counts))]
        budget = round((1 - fraction) * sum(counts))
        sizes = [choices.astype(np.float64) for choices in levels]
        chosen = cheapest_within(costs, sizes, float(budget), buckets=max(1, budget))
        assert chosen is not None  # every layer may be emptied
        return self._units(unit, [int(levels[at][level]) for at, level in enumerate(chosen)])

    def _kept_within(self, table: LatencyTable, goal_s: float, speedup: float) -> tuple[Kept, Kept]:
        """Chooses units of both kinds so that the predicted time keeps the goal."""
        shape, multiple = self._shape, self._settings.multiple
        heads = [_levels(count, 1) for count in shape.layer_heads]
        ffn = [_levels(count, multiple) for count in shape.layer_ffn]
        costs = [self._costs("heads", layer, choices) for layer, choices in enumerate(heads)]
        costs += [self._costs("ffn", layer, choices) for layer, choices in enumerate(ffn)]
        times = [table.attention_s(choices) for choices in heads]
        times += [table.ffn_s(choices) for choices in ffn]
        chosen = cheapest_within(costs, times, max(0.0, goal_s - table.rest_s))
        if goal_s < table.rest_s or chosen is None:
            dense_s = table.predict(shape.layer_heads, shape.layer_ffn)
            raise PassError(
                f"a speed-up of {speedup:g} can't be met by removing heads and neurons: without "
                f"any it would be {dense_s / table.rest_s:.2f} ({table.deployment})"
            )
        widths = [int(choices[level]) for choices, level in zip(heads + ffn, chosen, strict=True)]
        return (
            self._units("heads", widths[: shape.layers]),
            self._units("ffn", widths[shape.layers :]),
        )

    def _costs(self, unit: Unit, layer: int, choices: NDArray[np.int64]) -> NDArray[np.float64]:
        own = self._sweeps.get((unit, layer))
        return own.errors[len(own.order) - choices] if own is not None else np.zeros(len(choices))

    def _units(self, unit: Unit, widths: Sequence[int]) -> Kept:
        kept = []
        for layer, width in enumerate(widths):
            own = self._sweeps.get((unit, layer))
            kept.append(own.kept(width) if own is not None else ())
        return tuple(kept)

    def _made(self, heads: Kept, ffn: Kept) -> _Made:
        """Cuts, re-fits and says what was done."""
        shape, batches = self._shape, self._batches
        smaller = cut(self._model, heads=heads, ffn=ffn)
        fitted: list[Refitted] = []
        if self._settings.refit and len(batches) > 1:
            fitted = refit(
                self._model, smaller, batches, weights=self._weights, progress=self._progress
            )
        held_out = batches[1::HELD_OUT] if len(batches) > 1 else batches
        alike = agreement(self._model, smaller, held_out)
        removed = [
            sum(before) - sum(map(len, after))
            for before, after in ((shape.layer_heads, heads), (shape.layer_ffn, ffn))
        ]
        samples = sum(batch.size for batch in batches)
        details: dict[str, object] = {
            "layers": _table(shape.layer_heads, shape.layer_ffn, heads, ffn, fitted),
            "removed": f"{removed[0]} of {sum(shape.layer_heads)} heads, {removed[1]} of "
            f"{sum(shape.layer_ffn)} neurons",
            "notes": [
                f"measured on {samples} samples, no labels; "
                f"{'the rest re-fitted' if fitted else 'not re-fitted'}",
                f"answers as the model before to {alike:.1%} on samples held out",
            ],
        }
        return _Made(smaller, details)


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
