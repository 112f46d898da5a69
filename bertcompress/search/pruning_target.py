"""The target of one-shot pruning: what it counts, how it is measured, where answers break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.pruning.cost_table import CostTable
from bertcompress.passes.prune.widths import Search
from bertcompress.progress import Progress, silent
from bertcompress.search.latency_table import MeasureLatency

RUNGS = 4
"""The number of steps between the original and the target at which answers are compared."""
_REACH = 0.9


@dataclass(frozen=True)
class Rung:
    """How answers fare on the way to the target.

    Attributes:
        at: How far on the way, as people read it.
        agreement: The share of answers that stay the original's.
        divergence: How far the answers move.
    """

    at: str
    agreement: float
    divergence: float


@dataclass(frozen=True)
class PruningTarget:
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
    latency: MeasureLatency | None = None

    def measured(self, smaller: Checkpoint, predicted: float, progress: Progress) -> float:
        """Returns what the smaller model really costs, on the scale of the table.

        Time is measured beside the reference's and scaled by it, since a machine's speed drifts.
        """
        if self.latency is None:
            return predicted
        models = {"original": self.reference, "pruned": smaller}
        seconds = self.latency.seconds(models, progress=progress)
        return seconds["pruned"] / seconds["original"] * self.whole

    def told(self, predicted: float, measured: float) -> dict[str, str]:
        """Returns what was asked, predicted and measured, as people read it."""
        rows = {
            "asked": self.asked,
            "predicted": self._ratio(predicted),
            "measured": self._ratio(measured),
            "prediction_error": f"{abs(predicted - measured) / measured:.1%}",
            "before": self.amount(self.whole),
            "after": self.amount(measured),
        }
        if self.table.deployment:
            rows["on"] = self.table.deployment
        return rows

    def ladder(self, search: Search, progress: Progress = silent) -> tuple[Rung, ...]:
        """Compares answers on the way to the target, each rung made and re-fitted quickly."""
        last = min(self.whole / self.goal, self._farthest())
        rungs: list[Rung] = []
        for rung in range(1, RUNGS + 1):
            progress("where answers break", rung - 1, RUNGS)
            ratio = last ** (rung / RUNGS)
            choice = search.within(self.table, self.whole / ratio, power=1.0)
            if choice is not None:
                outcome = search.quick_outcome(choice)
                at = self._ratio(self.whole / ratio)
                rungs.append(Rung(at, round(outcome.agreement, 4), outcome.divergence))
        progress("where answers break", RUNGS, RUNGS)
        return tuple(rungs)

    def why_not(self) -> str:
        """Says that no number of units meets the target, and how far one can get."""
        return (
            f"{self.asked} can't be met by removing heads and neurons: without any it would be "
            f"{self._ratio(self.table.rest)}, {self.amount(self.table.rest)}"
            + (f" ({self.table.deployment})" if self.table.deployment else "")
        )

    def where_it_breaks(self, search: Search) -> str:
        """Says how answers fare on the way to the farthest that can be reached."""
        reach = replace(self, goal=self.whole / self._farthest())
        return broken_at(reach.ladder(search))

    def amount(self, cost: float) -> str:
        """Returns a cost as people read it."""
        if self.table.measure == "seconds":
            return f"{cost * 1e3:.3f} ms a text"
        return f"{cost:,.0f} {self.table.measure}"

    def _farthest(self) -> float:
        return max(1.01, _REACH * self.whole / self.table.rest)

    def _ratio(self, cost: float) -> str:
        if self.table.measure == "seconds":
            return f"{self.whole / cost:.2f}x"
        return f"{cost / self.whole:.1%} of the {self.table.measure}"


def broken_at(rungs: Sequence[Rung]) -> str:
    """Returns the rungs as the end of a sentence."""
    if not rungs:
        return ""
    told = [f"{rung.agreement:.1%} at {rung.at}" for rung in rungs]
    return "; answers stay the same to " + ", ".join(told)
