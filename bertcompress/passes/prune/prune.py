"""Removes heads and feed-forward neurons in one shot, and re-fits what is left.

1. One pass over real texts finds what errors of each sub-layer cost (`bert/curvature.py`).
2. A sweep of optimal brain surgeon a sub-layer gives the cost of every number of units, with all
   other units making up for those removed (`bert/obs.py`); a few are tried (`bert/alone.py`).
3. A knapsack over all layers chooses how many units each keeps, and the choices found are compared
   by their answers (`prune_search.py`).
4. Rows and columns are cut out (`bert/surgery.py`), and each output projection is solved for anew,
   from the first layer to the last, against the original model (`bert/refit.py`).

Nothing is trained and no label is looked at. Instead of fractions, a target can be given: a
speed-up or a latency, measured where the model will be deployed, or parameters or operations
(`prune_target.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from bertcompress.artifacts.artifact import Artifact, Checkpoint, Kind, StepTimer
from bertcompress.bert.pruning.refit import Refitted, refit
from bertcompress.bert.pruning.selection import check_fraction
from bertcompress.bert.surgery import cut
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example
from bertcompress.passes.base import NOT_A_SETTING, checkpoint_for, settings_of
from bertcompress.passes.prune.details import explanation_of, layers_table, removed_sentence
from bertcompress.passes.prune.pruned import check_counts
from bertcompress.passes.prune.widths import Choice, Outcome, Search
from bertcompress.passes.samples import batches_for
from bertcompress.progress import Progress, silent
from bertcompress.search.prune_to_target import MeasuresLatency, target_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TARGETS = ("target_speedup", "target_latency", "target_params", "target_flops")
_TRIES = 3
_TOLERANCE = 0.02
"""A target is met if what was measured misses it by no more; timing has noise."""


@dataclass(frozen=True)
class Prune:
    """Removes the heads and neurons that the others make up for best.

    Attributes:
        examples: What everything is measured and fitted on; labels are not needed.
        heads: Of all heads, the part to remove, [0, 1).
        ffn: Of all feed-forward neurons, the part to remove, [0, 1).
        target_speedup: Instead of the two fractions, how many times as fast it shall be.
        target_latency: The same as seconds of one text.
        target_params: The same as parameters of the whole model: a part of them, (0, 1), or their
            number.
        target_flops: The same as operations of one text of the examples' lengths.
        min_agreement: The share of answers that must stay the original's, on texts held out; None
            asks for nothing.
        reference: The folder or hub name of the model that a speed-up or a part is of; None means
            the model given. In a recipe an empty text means the recipe's own model.
        latency: Measures where and how it will be deployed; needed for a speed-up or a latency.
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
    target_latency: float | None = None
    target_params: float | None = None
    target_flops: float | None = None
    min_agreement: float | None = None
    reference: str | None = None
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
        self._check_target()
        if self.min_agreement is not None and not 0.0 < self.min_agreement <= 1.0:
            raise UsageError(
                f"min_agreement must be within (0, 1], got {self.min_agreement:g}; 0.95 lets one "
                "answer in twenty change"
            )
        if not self.examples:
            raise UsageError(
                "prune measures on data and none was given; add --data, or take --score magnitude, "
                "which needs none"
            )

    def _check_target(self) -> None:
        asked = [name for name in TARGETS if getattr(self, name) is not None]
        fractions = ["heads and ffn"] if self.heads or self.ffn else []
        if len(asked + fractions) != 1:
            raise UsageError(
                "prune must know what to remove; give heads 0.3 or ffn 0.3, or one target"
                + (f", not {' and '.join(fractions + asked)}" if asked else "")
            )
        if self.target_speedup is not None and not 1.0 < self.target_speedup < 100.0:
            raise UsageError(
                f"target_speedup must be above 1, got {self.target_speedup:g}; 1.5 asks for a "
                "model that takes two thirds of the time"
            )
        for name in TARGETS[1:]:
            value = getattr(self, name)
            if value is not None and not (value > 0 and value != 1.0):
                raise UsageError(f"{name} must be above 0 and not 1, got {value:g}")
        timed = self.target_speedup is not None or self.target_latency is not None
        if timed and self.latency is None:
            raise UsageError(f"{asked[0]} needs latency, what measures the deployment")

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> Checkpoint:
        """Returns the smaller checkpoint.

        Raises:
            PassError: If the artifact is a graph, its activations are not finite, or the target
                or the agreement asked for can't be met.
            DataError: If the examples do not fit the task.
            LoadError: If the reference can't be loaded.
        """
        checkpoint = checkpoint_for(self, artifact)
        timer = StepTimer(checkpoint)
        work = _Work(self, checkpoint, progress)
        made = work.with_target() if self._has_target else work.with_fractions()
        result = replace(checkpoint, model=made.model)
        step = timer.step("Prune", settings_of(self), result, details=made.details)
        return replace(result, history=(*checkpoint.history, step))

    @property
    def _has_target(self) -> bool:
        return any(getattr(self, name) is not None for name in TARGETS)


@dataclass(frozen=True)
class _Made:
    """A smaller model and what is told of it."""

    model: PreTrainedModel
    choice: Choice
    outcome: Outcome
    details: dict[str, object]


class _Work:
    """One run of the pass: what is measured once, and models made from it."""

    def __init__(self, settings: Prune, checkpoint: Checkpoint, progress: Progress) -> None:
        self._settings, self._checkpoint, self._progress = settings, checkpoint, progress
        self._batches = batches_for(
            checkpoint,
            settings.examples,
            samples=settings.samples,
            batch_size=settings.batch_size,
            max_length=settings.max_length,
            seed=settings.seed,
        )
        fractions = bool(settings.heads or settings.ffn)
        self._search = Search(
            checkpoint.model,
            self._batches,
            heads=settings.heads > 0 or not fractions,
            ffn=settings.ffn > 0 or not fractions,
            multiple=settings.multiple,
            seed=settings.seed,
            state_folder=settings.state_folder,
            progress=progress,
        )

    def with_fractions(self) -> _Made:
        """Removes the parts of all heads and of all neurons that were asked for.

        Raises:
            PassError: If fewer answers stay than were asked for.
        """
        made = self._made(self._search.by_count(self._settings.heads, self._settings.ffn))
        self._check_agreement(made, "")
        return made

    def with_target(self) -> _Made:
        """Removes as much as the target takes; corrects what was measured to miss it.

        Raises:
            PassError: If the target, or the agreement asked for, can't be met.
        """
        own, search = self._settings, self._search
        target = target_of(own, self._checkpoint, self._batches, self._progress)
        goal, power = target.goal, None
        for _ in range(_TRIES):
            choice = search.within(target.table, goal, power=power)
            if choice is None:
                raise PassError(f"{target.why_not()}{target.where_it_breaks(search)}")
            made = self._made(choice)
            predicted = target.table.predict(*choice.widths)
            smaller = replace(self._checkpoint, model=made.model)
            measured = target.measured(smaller, predicted, self._progress)
            if measured <= target.goal * (1 + _TOLERANCE):
                break
            goal *= target.goal / measured
        details = {
            "target": target.told(predicted, measured),
            "ladder": (ladder := target.ladder(search, self._progress)),
        }
        self._check_agreement(made, target.broken_at(ladder))
        return replace(made, details={**made.details, **details})

    def _check_agreement(self, made: _Made, rungs: str) -> None:
        least = self._settings.min_agreement
        if least is not None and made.outcome.agreement < least:
            raise PassError(
                f"only {made.outcome.agreement:.1%} of the answers stay the same where {least:.1%} "
                f"were asked for; remove less, or recover by distillation{rungs}"
            )

    def _made(self, choice: Choice) -> _Made:
        """Cuts, re-fits and says what was done."""
        search, batches = self._search, self._batches
        smaller = cut(self._checkpoint.model, heads=choice.heads, ffn=choice.ffn)
        fitted: list[Refitted] = []
        if self._settings.refit and len(batches) > 1:
            fitted = refit(
                self._checkpoint.model,
                smaller,
                batches,
                weights=search.weights,
                progress=self._progress,
            )
        outcome = search.outcome(smaller)
        samples = sum(batch.size for batch in batches)
        details: dict[str, object] = {
            "layers": layers_table(search.shape, choice, fitted),
            "removed": removed_sentence(search.shape, choice),
            "notes": [
                f"measured on {samples} samples, no labels; "
                f"{'the rest re-fitted' if fitted else 'not re-fitted'}",
                f"answers as the model before to {outcome.agreement:.1%} on samples held out",
            ],
            "explain": explanation_of(search, choice),
        }
        return _Made(smaller, choice, outcome, details)
