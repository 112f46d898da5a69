"""The target of one-shot pruning: what it counts, how it is measured, where answers break."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.loading.load import load
from bertcompress.bert.pruning.cost_table import CostTable
from bertcompress.bert.pruning.sizes import flops_table, parameters_table
from bertcompress.bert.structure import shape_of
from bertcompress.errors import PassError
from bertcompress.passes.prune.widths import Search
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    from bertcompress.passes.prune.prune import Prune

RUNGS = 4
"""Between the original and the target, answers are compared at so many steps."""
_REACH = 0.9


class MeasuresLatency(Protocol):
    """Times models as they will be deployed; `bertcompress.search.latency_table` does."""

    def table(self, checkpoint: Checkpoint, *, progress: Progress) -> CostTable:
        """Measures the latency table for models like this one."""
        ...

    def seconds(self, models: Mapping[str, Checkpoint], *, progress: Progress) -> dict[str, float]:
        """Measures whole models against each other."""
        ...


Rungs = list[dict[str, object]]


@dataclass(frozen=True)
class Target:
    """What a model may cost.

    Attributes:
        table: What widths cost.
        whole: What the reference costs by the table.
        goal: What the smaller model may cost.
        asked: The target as people read it.
        reference: The model that ratios are of.
        latency: Measures time; None where the table is exact.
    """

    table: CostTable
    whole: float
    goal: float
    asked: str
    reference: Checkpoint
    latency: MeasuresLatency | None = None

    def measured(self, smaller: Checkpoint, predicted: float, progress: Progress) -> float:
        """Returns what the smaller model really costs, on the scale of the table.

        Time is measured beside the reference's and scaled by it, since a machine's speed drifts.
        """
        if self.latency is None:
            return predicted
        models = {"original": self.reference, "pruned": smaller}
        seconds = self.latency.seconds(models, progress=progress)
        return seconds["pruned"] / seconds["original"] * self.whole

    def told(self, predicted: float, measured: float) -> dict[str, object]:
        """Returns what was asked, predicted and measured, as people read it."""
        rows: dict[str, object] = {
            "asked": self.asked,
            "predicted": self._ratio(predicted),
            "measured": self._ratio(measured),
            "prediction_error": f"{abs(predicted - measured) / measured:.1%}",
            "before": self._amount(self.whole),
            "after": self._amount(measured),
        }
        if self.table.deployment:
            rows["on"] = self.table.deployment
        return rows

    def ladder(self, search: Search, progress: Progress = silent) -> Rungs:
        """Compares answers on the way to the target, each rung made and re-fitted quickly."""
        last = min(self.whole / self.goal, self._farthest())
        rungs: Rungs = []
        for rung in range(1, RUNGS + 1):
            progress("where answers break", rung - 1, RUNGS)
            ratio = last ** (rung / RUNGS)
            choice = search.within(self.table, self.whole / ratio, power=1.0)
            if choice is not None:
                found = search.quick_outcome(choice)
                rungs.append(
                    {
                        "at": self._ratio(self.whole / ratio),
                        "agreement": round(found.agreement, 4),
                        "divergence": found.divergence,
                    }
                )
        progress("where answers break", RUNGS, RUNGS)
        return rungs

    def why_not(self) -> str:
        """Says that no number of units meets the target, and how far one can get."""
        return (
            f"{self.asked} can't be met by removing heads and neurons: without any it would be "
            f"{self._ratio(self.table.rest)}, {self._amount(self.table.rest)}"
            + (f" ({self.table.deployment})" if self.table.deployment else "")
        )

    def where_it_breaks(self, search: Search) -> str:
        """Says how answers fare on the way to the farthest that can be reached."""
        reach = replace(self, goal=self.whole / self._farthest())
        return self.broken_at(reach.ladder(search))

    def broken_at(self, rungs: Rungs) -> str:
        """Returns the rungs as the end of a sentence."""
        if not rungs:
            return ""
        told = [f"{rung['agreement']:.1%} at {rung['at']}" for rung in rungs]
        return "; answers stay the same to " + ", ".join(told)

    def _farthest(self) -> float:
        return max(1.01, _REACH * self.whole / self.table.rest)

    def _ratio(self, cost: float) -> str:
        if self.table.measure == "seconds":
            return f"{self.whole / cost:.2f}x"
        return f"{cost / self.whole:.1%} of the {self.table.measure}"

    def _amount(self, cost: float) -> str:
        if self.table.measure == "seconds":
            return f"{cost * 1e3:.3f} ms a text"
        return f"{cost:,.0f} {self.table.measure}"


def target_of(
    settings: Prune, checkpoint: Checkpoint, batches: Sequence[Batch], progress: Progress
) -> Target:
    """Returns the target that the settings ask for, its table measured.

    Raises:
        PassError: If the model keeps it already.
        LoadError: If the reference can't be loaded.
    """
    reference = _reference(settings, checkpoint)
    widths = shape_of(reference.model)
    latency = None
    if settings.target_params is not None:
        table, name, value = parameters_table(reference.model), "params", settings.target_params
    elif settings.target_flops is not None:
        table, name = flops_table(reference.model, batches), "FLOPs"
        value = settings.target_flops
    else:
        latency = settings.latency
        assert latency is not None  # the settings were checked
        table = latency.table(reference, progress=progress)
        name, value = "latency", settings.target_latency or 0.0
    whole = table.predict(widths.layer_heads, widths.layer_ffn)
    if settings.target_speedup is not None:
        goal, asked = whole / settings.target_speedup, f"a speed-up of {settings.target_speedup:g}"
    elif name == "latency":
        goal, asked = value, f"a latency of {value * 1e3:g} ms"
    else:
        goal = value * whole if value < 1 else value
        asked = f"{value:.1%} of the {name}" if value < 1 else f"{value:,.0f} {name}"
    target = Target(table, whole, goal, asked, reference, latency)
    if goal >= whole:
        raise PassError(f"{asked} is met already: the model has {target._amount(whole)}")
    return target


def _reference(settings: Prune, checkpoint: Checkpoint) -> Checkpoint:
    if settings.reference is None:
        return checkpoint
    found = load(settings.reference, task=checkpoint.task)
    if not isinstance(found, Checkpoint):
        raise PassError(f"the reference {settings.reference} is a graph; give the checkpoint")
    return found
