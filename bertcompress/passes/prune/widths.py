"""Chooses how many units each sub-layer keeps, and which.

The cost of every number of units is known from a sweep (`bert/pruning/sweeps.py`), scaled by what a
few of them actually cost (`bert/pruning/measured_costs.py`). A knapsack then finds the cheapest
choice within a budget of units, time, parameters or operations (`numerics/knapsack.py`).

Costs do not simply add up: a model that has lost much already reacts differently. So the knapsack
is solved for costs raised to several powers, a smaller one spreads the cuts more evenly, and each
choice found is made, re-fitted on a part of the texts and scored by its real answers; the best is
taken (as SPDY, Frantar and Alistarh 2022, arXiv:2201.13096, does with random coefficients).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bertcompress.bert.answers import agreement
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.cost_table import CostTable
from bertcompress.bert.pruning.measured_costs import costs_alone, divergence, scaled
from bertcompress.bert.pruning.refit import TokenWeights, can_refit, refit
from bertcompress.bert.pruning.selection import Kept
from bertcompress.bert.pruning.sublayers import UNITS, Key, Unit
from bertcompress.bert.pruning.sweeps import swept
from bertcompress.bert.structure import shape_of
from bertcompress.bert.surgery import cut
from bertcompress.numerics.knapsack import cheapest_within
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    from transformers import PreTrainedModel

POWERS = (1.0, 0.7, 0.5)
"""Of the costs; the choices that they lead to are all tried."""
TRIED = (0.3, 0.6, 0.85, 1.0)
"""Parts of a sub-layer's units that are removed to see what that actually costs."""
QUICK_SAMPLES = 256
"""The most texts that choices which are only compared are fitted on."""
PROBES = 128
"""The most texts that answers are compared on."""


@dataclass(frozen=True)
class Choice:
    """The units that stay, for each layer.

    Attributes:
        heads: Attention heads.
        ffn: FFN neurons.
    """

    heads: Kept
    ffn: Kept

    @property
    def widths(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """How many heads and neurons each layer keeps."""
        return tuple(map(len, self.heads)), tuple(map(len, self.ffn))

    def kept(self, key: Key) -> tuple[int, ...]:
        """The units that one sub-layer keeps."""
        unit, layer = key
        return (self.heads if unit == "heads" else self.ffn)[layer]


@dataclass(frozen=True)
class Outcome:
    """How a model answers on texts held out.

    Attributes:
        divergence: How far its answers are from the original's, 0 or more.
        agreement: The share of answers that are the original's, 0 to 1.
    """

    divergence: float
    agreement: float


class Search:
    """What is known of one model, and choices made from it.

    Args:
        model: In evaluation mode; left as it was.
        batches: Real texts; targets are not looked at. Answers are compared on those held out.
        heads: Whether heads may go.
        ffn: Whether neurons may go.
        multiple: A layer's neurons are kept in multiples of this, or all.
        seed: Draws the targets of the curvature.
        state: Where finished sub-layers are kept and found again; None keeps nothing.
        progress: Progress callback.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        batches: Sequence[Batch],
        *,
        heads: bool,
        ffn: bool,
        multiple: int,
        seed: int = 0,
        state: Path | None = None,
        progress: Progress = silent,
    ) -> None:
        self.model, self.shape = model, shape_of(model)
        self._multiple, self._progress = multiple, progress
        known = swept(
            model,
            batches,
            heads=heads,
            ffn=ffn,
            seed=seed,
            state=state,
            progress=progress,
        )
        self._sweeps, self.weights = known.sweeps, known.weights
        held_out = [at for at, batch in enumerate(batches) if batch.held_out]
        self.held_out = [batches[at] for at in held_out] or list(batches)
        self._probes = _first(self.held_out, PROBES)
        fitting = [at for at, batch in enumerate(batches) if not batch.held_out]
        quick = fitting[: len(_first([batches[at] for at in fitting], QUICK_SAMPLES))]
        quick += held_out[: max(1, len(quick) // 4)]
        self._quick = [batches[at] for at in quick]
        self._quick_weights: TokenWeights = {
            key: [each[at] for at in quick] for key, each in self.weights.items()
        }

    @cached_property
    def curves(self) -> dict[Key, NDArray[np.float64]]:
        """For each sub-layer that may lose units the cost of losing 0, 1, … all of them."""
        removed = {
            key: sorted({max(1, round(part * len(sweep.order))) for part in TRIED})
            for key, sweep in self._sweeps.items()
        }
        kept = {
            key: [self._sweeps[key].kept(len(self._sweeps[key].order) - count) for count in counts]
            for key, counts in removed.items()
        }
        truth = self.truth(kept, self._progress)
        return {
            key: scaled(sweep.errors, removed[key], truth[key])
            for key, sweep in self._sweeps.items()
        }

    def truth(
        self, kept: dict[Key, list[tuple[int, ...]]], progress: Progress = silent
    ) -> dict[Key, list[float]]:
        """Measures what choices for single sub-layers cost when all else is the original."""
        return costs_alone(
            self.model,
            self._quick,
            self._probes,
            kept,
            weights=self._quick_weights,
            progress=progress,
        )

    def unit_costs(self, key: Key) -> NDArray[np.float64] | None:
        """What removing each unit of a sub-layer alone costs; None where none may go."""
        if key not in self._sweeps:
            return None
        sweep, curve = self._sweeps[key], self.curves[key]
        first = curve[1] / sweep.errors[1] if sweep.errors[1] > 0 else 1.0
        return sweep.unit_errors * first

    def by_count(self, heads: float, ffn: float) -> Choice:
        """Removes the parts of all heads and of all neurons that are asked for."""

        def choose(power: float) -> Choice:
            kept = {}
            for unit, fraction in zip(UNITS, (heads, ffn), strict=True):
                levels = [self._levels(unit, layer) for layer in range(self.shape.layers)]
                total = sum(int(each[-1]) for each in levels)
                budget = round((1 - fraction) * total) if fraction else total
                chosen = cheapest_within(
                    [self._costs((unit, at), each, power) for at, each in enumerate(levels)],
                    [each.astype(np.float64) for each in levels],
                    float(budget),
                    buckets=max(1, budget),
                )
                assert chosen is not None  # every layer may be emptied
                widths = [int(each[at]) for each, at in zip(levels, chosen, strict=True)]
                kept[unit] = self._units(unit, widths)
            return Choice(kept["heads"], kept["ffn"])

        return self._best(choose)

    def within(self, table: CostTable, goal: float, *, power: float | None = None) -> Choice | None:
        """Removes as little as keeps the goal by the table, None where nothing does.

        Args:
            table: What widths cost.
            goal: What the model may cost.
            power: Of the costs; None tries all and takes the best.
        """
        if goal < table.rest or self._within(table, goal, 1.0) is None:
            return None
        if power is not None:
            return self._within(table, goal, power)
        return self._best(lambda each: self._within(table, goal, each) or self.everything)

    @cached_property
    def everything(self) -> Choice:
        """All units stay."""
        heads, ffn = (
            tuple(tuple(range(count)) for count in counts)
            for counts in (self.shape.layer_heads, self.shape.layer_ffn)
        )
        return Choice(heads, ffn)

    def quick_outcome(self, choice: Choice) -> Outcome:
        """Makes a choice, re-fits it on a part of the texts, and compares its answers."""
        smaller = cut(self.model, heads=choice.heads, ffn=choice.ffn)
        if can_refit(self._quick):
            refit(self.model, smaller, self._quick, weights=self._quick_weights)
        return self.outcome(smaller)

    def outcome(self, smaller: PreTrainedModel) -> Outcome:
        """Compares a model's answers with the original's on texts held out."""
        return Outcome(
            divergence(self.model, smaller, self._probes),
            agreement(self.model, smaller, self.held_out),
        )

    def _best(self, choose: Callable[[float], Choice]) -> Choice:
        choices = list(dict.fromkeys(choose(power) for power in POWERS))
        if len(choices) == 1:
            return choices[0]
        scores = []
        for number, choice in enumerate(choices):
            self._progress("compare choices", number, len(choices))
            scores.append(self.quick_outcome(choice).divergence)
        self._progress("compare choices", len(choices), len(choices))
        return choices[int(np.argmin(scores))]

    def _within(self, table: CostTable, goal: float, power: float) -> Choice | None:
        keys: list[Key] = [(unit, at) for unit in UNITS for at in range(self.shape.layers)]
        levels = [self._levels(*key) for key in keys]
        prices = [
            table.heads_cost(each) if unit == "heads" else table.ffn_cost(each)
            for (unit, _), each in zip(keys, levels, strict=True)
        ]
        costs = [self._costs(key, each, power) for key, each in zip(keys, levels, strict=True)]
        chosen = cheapest_within(costs, prices, max(0.0, goal - table.rest))
        if chosen is None:
            return None
        widths = [int(each[at]) for each, at in zip(levels, chosen, strict=True)]
        return Choice(
            self._units("heads", widths[: self.shape.layers]),
            self._units("ffn", widths[self.shape.layers :]),
        )

    def _levels(self, unit: Unit, layer: int) -> NDArray[np.int64]:
        """Returns how many units a layer may keep: none, whole multiples, or all."""
        counts = self.shape.layer_heads if unit == "heads" else self.shape.layer_ffn
        count = counts[layer]
        if (unit, layer) not in self._sweeps:
            return np.asarray([count], dtype=np.int64)
        multiple = 1 if unit == "heads" else self._multiple
        return np.asarray(sorted({*range(0, count, multiple), count}), dtype=np.int64)

    def _costs(self, key: Key, levels: NDArray[np.int64], power: float) -> NDArray[np.float64]:
        if key not in self._sweeps:
            return np.zeros(len(levels))
        costs: NDArray[np.float64] = self.curves[key][levels[-1] - levels] ** power
        return costs

    def _units(self, unit: Unit, widths: Sequence[int]) -> Kept:
        kept = []
        for layer, width in enumerate(widths):
            sweep = self._sweeps.get((unit, layer))
            kept.append(sweep.kept(width) if sweep is not None else tuple(range(width)))
        return tuple(kept)


def _first(batches: Sequence[Batch], samples: int) -> list[Batch]:
    """Returns the first batches that have the samples together, at least two if there are."""
    first: list[Batch] = []
    for batch in batches:
        if len(first) >= 2 and sum(each.size for each in first) >= samples:
            break
        first.append(batch)
    return first
