"""Removes heads and feed-forward neurons in one shot, and re-fits what is left.

1. One pass over real texts finds what errors of each sub-layer cost (`bert/pruning/curvature.py`).
2. A sweep of optimal brain surgeon a sub-layer gives the cost of every number of units, with all
   other units making up for those removed (`bert/pruning/brain_surgeon.py`); a few are tried
   (`bert/pruning/measured_costs.py`).
3. A knapsack over all layers chooses how many units each keeps, and the choices found are compared
   by their answers (`widths.py`).
4. Rows and columns are cut out (`bert/surgery.py`), and each output projection is solved for anew,
   from the first layer to the last, against the original model (`bert/pruning/refit.py`).

Nothing is trained and no label is looked at. `Prune` takes fractions; for a speed-up, a latency,
parameters or operations see `bertcompress.search.prune_to_target`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from bertcompress.artifacts.artifact import Checkpoint, Kind
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.refit import Refitted, can_refit, refit
from bertcompress.bert.pruning.selection import check_fraction
from bertcompress.bert.surgery import cut
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.prune.details import (
    PruneDetails,
    explanation,
    layer_rows,
    removed_sentence,
)
from bertcompress.passes.prune.widths import Choice, Outcome, Search
from bertcompress.passes.samples import batches_for
from bertcompress.passes.settings import Need, check_counts, part_of

HELD_OUT = 5
"""Of the samples one in so many, at most, checks what the others fit."""


@dataclass(frozen=True)
class Prune(Pass[Checkpoint, Checkpoint]):
    """Removes the heads and neurons that the others make up for best.

    Attributes:
        heads: Of all heads, the part to remove, [0, 1).
        ffn: Of all feed-forward neurons, the part to remove, [0, 1).
        min_agreement: The share of answers that must stay the original's, on texts held out; None
            asks for nothing.
        refit: Whether what is left is re-fitted to the original model.
        multiple: A layer's neurons are kept in multiples of this, or all.
        samples: At most this many examples are used, drawn stratified; labels are not needed.
        batch_size: Examples of one run.
        max_length: Longest text in tokens; None takes the model's, at most 512.
        seed: Draws the samples, and the targets of the curvature.
    """

    heads: float = 0.0
    ffn: float = 0.0
    min_agreement: float | None = None
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
        check_goals(["heads and ffn"] if self.heads or self.ffn else [])
        part_of(self, OneShot)  # refuses what can't be meant

    @property
    def needs(self) -> tuple[Need, ...]:
        """What everything is measured and fitted on."""
        return ("examples", "held out")

    def check(self, context: Context) -> None:
        """Refuses a run without examples."""
        check_data(context)

    def apply(self, checkpoint: Checkpoint, context: Context) -> tuple[Checkpoint, PruneDetails]:
        """Returns the smaller checkpoint.

        Raises:
            PassError: If activations are not finite, or fewer answers stay than were asked for.
            DataError: If the examples do not fit the task.
        """
        one_shot = part_of(self, OneShot)
        work = one_shot.begin(checkpoint, context, heads=self.heads > 0, ffn=self.ffn > 0)
        smaller = work.made(work.search.by_count(self.heads, self.ffn))
        work.check_agreement(smaller)
        return smaller.checkpoint, smaller.details


@dataclass(frozen=True)
class OneShot:
    """How a model is pruned in one shot, whatever says how much; attributes as in `Prune`."""

    min_agreement: float | None
    refit: bool
    multiple: int
    samples: int
    batch_size: int
    max_length: int | None
    seed: int

    def __post_init__(self) -> None:
        check_counts(multiple=self.multiple, samples=self.samples, batch_size=self.batch_size)
        if self.min_agreement is not None and not 0.0 < self.min_agreement <= 1.0:
            raise UsageError(
                f"min_agreement must be within (0, 1], got {self.min_agreement:g}; 0.95 lets one "
                "answer in twenty change"
            )

    def begin(
        self, checkpoint: Checkpoint, context: Context, *, heads: bool = True, ffn: bool = True
    ) -> OneShotWork:
        """Measures what each sub-layer's units cost.

        Args:
            checkpoint: What is pruned.
            context: Its examples are measured on; its state folder keeps finished sub-layers.
            heads: Whether heads may go.
            ffn: Whether neurons may go.

        Raises:
            PassError: If activations are not finite.
            DataError: If the examples do not fit the task.
        """
        held_out = self._batches(checkpoint, context.held_out, max(1, self.samples // HELD_OUT))
        judged = sum(batch.size for batch in held_out)
        fitting = self._batches(checkpoint, context.fitted, max(1, self.samples - judged))
        batches = [*fitting, *(replace(batch, held_out=True) for batch in held_out)]
        search = Search(
            checkpoint.model,
            batches,
            heads=heads,
            ffn=ffn,
            multiple=self.multiple,
            seed=self.seed,
            state=context.state,
            progress=context.progress,
        )
        return OneShotWork(self, checkpoint, context, batches, search)

    def _batches(
        self, checkpoint: Checkpoint, examples: Sequence[Example], samples: int
    ) -> list[Batch]:
        if not examples:
            return []
        return batches_for(
            checkpoint,
            examples,
            samples=samples,
            batch_size=self.batch_size,
            max_length=self.max_length,
            seed=self.seed,
        )


@dataclass(frozen=True)
class Smaller:
    """A smaller model, how it answers, and what is told of it."""

    checkpoint: Checkpoint
    choice: Choice
    outcome: Outcome
    details: PruneDetails


@dataclass(frozen=True)
class OneShotWork:
    """What is measured once in a run of one-shot pruning, and models made from it.

    Attributes:
        settings: How.
        checkpoint: The model that is pruned.
        context: What the run has.
        batches: The examples that were drawn.
        search: What each sub-layer's units cost, and choices among them.
    """

    settings: OneShot
    checkpoint: Checkpoint
    context: Context
    batches: Sequence[Batch]
    search: Search

    def made(self, choice: Choice) -> Smaller:
        """Cuts, re-fits and says what was done."""
        search, batches, model = self.search, self.batches, self.checkpoint.model
        smaller = cut(model, heads=choice.heads, ffn=choice.ffn)
        fitted: list[Refitted] = []
        if self.settings.refit and can_refit(batches):
            fitted = refit(
                model, smaller, batches, weights=search.weights, progress=self.context.progress
            )
        outcome = search.outcome(smaller)
        samples = sum(batch.size for batch in batches if not batch.held_out)
        judged = sum(batch.size for batch in search.held_out)
        details = PruneDetails(
            layers=layer_rows(search.shape, choice, fitted),
            removed=removed_sentence(search.shape, choice),
            notes=(
                f"measured on {samples} samples, no labels; "
                f"{'the rest re-fitted' if fitted else 'not re-fitted'}",
                f"answers as the model before to {outcome.agreement:.1%} on "
                f"{judged} held-out sample{'s' * (judged != 1)}",
            ),
            explain=explanation(search, choice),
            agreement=outcome.agreement,
        )
        return Smaller(replace(self.checkpoint, model=smaller), choice, outcome, details)

    def check_agreement(self, smaller: Smaller, rungs: str = "") -> None:
        """Fails with a PassError, and the rungs, if fewer answers stay than were asked for."""
        least, agreement = self.settings.min_agreement, smaller.outcome.agreement
        if least is not None and agreement < least:
            raise PassError(
                f"only {agreement:.1%} of the answers stay the same where {least:.1%} were asked "
                f"for; remove less, or recover by distillation{rungs}"
            )


def check_goals(given: Sequence[str]) -> None:
    """Fails with a UsageError unless exactly one thing says how much to remove.

    Args:
        given: The names of the settings that do.
    """
    if len(given) != 1:
        raise UsageError(
            "prune must know what to remove; give heads 0.3 or ffn 0.3, or one target"
            + (f", not {' and '.join(given)}" if given else "")
        )


def check_data(context: Context) -> None:
    """Fails with a UsageError where there is nothing to measure on."""
    if not context.has_examples:
        raise UsageError(
            "prune measures on data and none was given; add --data, or take --score magnitude, "
            "which needs none"
        )
