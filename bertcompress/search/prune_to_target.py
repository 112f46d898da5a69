"""Prunes in one shot to a target: a speed-up or a latency, parameters or operations.

Time is measured where the model will be deployed (`latency_table.py`), parameters and operations
are counted. A knapsack finds the cheapest choice of units by the table, the model made from it is
measured, and where that misses the target, the goal is corrected and a model is made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar

from bertcompress.artifacts.artifact import Checkpoint, Kind
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.loading.load import load
from bertcompress.bert.pruning.cost_table import flops_table, parameters_table
from bertcompress.bert.structure import shape_of
from bertcompress.errors import PassError, UsageError
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.prune.details import PruneDetails
from bertcompress.passes.prune.prune import OneShot, check_data, check_goals
from bertcompress.passes.settings import Need, part_of
from bertcompress.search.latency_table import MeasureLatency, Timing, check_deployment
from bertcompress.search.pruning_target import PruningTarget, Rung, broken_at

TARGETS = ("target_speedup", "target_latency", "target_params", "target_flops")
_TRIES = 3
_TOLERANCE = 0.02
"""A target is met if what was measured misses it by no more; timing has noise."""


@dataclass(frozen=True)
class TargetDetails(PruneDetails):
    """What pruning to a target tells beside.

    Attributes:
        target: What was asked, predicted and measured, as people read it.
        ladder: How answers fare on the way.
    """

    target: Mapping[str, str]
    ladder: tuple[Rung, ...]


@dataclass(frozen=True)
class PruneToTarget(Pass[Checkpoint, Checkpoint]):
    """Removes the heads and neurons that the others make up for best, until a target is met.

    Attributes:
        target_speedup: How many times as fast it must be.
        target_latency: Instead, seconds of one text.
        target_params: Instead, parameters of the whole model: a part of them, (0, 1), or their
            number.
        target_flops: Instead, operations of one text of the examples' lengths, the same way.
        min_agreement: The share of answers that must stay the original's, on texts held out; None
            asks for nothing.
        reference: The folder or hub name of the model that a speed-up or a part is of; None means
            the model given, an empty text the run's original.
        precision: ``fp32`` or ``int8``: what will be deployed, for a target in time.
        runtime: What will run it, as `MeasureLatency` has it, for a target in time.
        timing: How sentences are timed, for a target in time.
        refit: Whether what is left is re-fitted to the original model.
        multiple: A layer's neurons are kept in multiples of this, or all.
        samples: At most this many examples are used, drawn stratified; labels are not needed.
        batch_size: Examples of one run.
        max_length: Longest text in tokens; None takes the model's, at most 512.
        seed: Draws the samples, the sentences timed, and the targets of the curvature.
    """

    target_speedup: float | None = None
    target_latency: float | None = None
    target_params: float | None = None
    target_flops: float | None = None
    min_agreement: float | None = None
    reference: str | None = None
    precision: str = "fp32"
    runtime: str = "ort-cpu"
    timing: Timing = field(default_factory=Timing)
    refit: bool = True
    multiple: int = 32
    samples: int = 1024
    batch_size: int = 16
    max_length: int | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        check_goals([name for name in TARGETS if getattr(self, name) is not None])
        if self.target_speedup is not None and not 1.0 < self.target_speedup < 100.0:
            raise UsageError(
                f"target_speedup must be above 1, got {self.target_speedup:g}; 1.5 asks for a "
                "model that takes two thirds of the time"
            )
        for name in TARGETS[1:]:
            value = getattr(self, name)
            if value is not None and not (value > 0 and value != 1.0):
                raise UsageError(f"{name} must be above 0 and not 1, got {value:g}")
        if not self._is_timed and (unused := self._timing_settings()):
            raise UsageError(f"{unused[0]} is for a target in time; add target_speedup")
        check_deployment(self.precision, self.runtime)
        part_of(self, OneShot)  # refuses what can't be meant

    @property
    def needs(self) -> tuple[Need, ...]:
        """What everything is measured and fitted on."""
        return ("examples", "held out")

    def check(self, context: Context) -> None:
        """Refuses a run without examples."""
        check_data(context)

    def apply(self, checkpoint: Checkpoint, context: Context) -> tuple[Checkpoint, TargetDetails]:
        """Removes as much as the target takes; corrects what was measured to miss it.

        Raises:
            PassError: If activations are not finite, or the target, or the agreement asked for,
                can't be met.
            DataError: If the examples do not fit the task.
            LoadError: If the reference can't be loaded.
        """
        work, progress = part_of(self, OneShot).begin(checkpoint, context), context.progress
        target = self._target(checkpoint, work.batches, context)
        goal = target.goal
        for _ in range(_TRIES):
            choice = work.search.within(target.table, goal)
            if choice is None:
                raise PassError(f"{target.why_not()}{target.where_it_breaks(work.search)}")
            smaller = work.made(choice)
            predicted = target.table.predict(*choice.widths)
            measured = target.measured(smaller.checkpoint, predicted, progress)
            if measured <= target.goal * (1 + _TOLERANCE):
                break
            goal *= target.goal / measured
        ladder = target.ladder(work.search, progress)
        work.check_agreement(smaller, broken_at(ladder))
        told = smaller.details
        details = TargetDetails(
            told.layers,
            told.removed,
            told.notes,
            told.explain,
            target=target.told(predicted, measured),
            ladder=ladder,
            agreement=told.agreement,
        )
        return smaller.checkpoint, details

    @property
    def _is_timed(self) -> bool:
        return self.target_speedup is not None or self.target_latency is not None

    def _timing_settings(self) -> list[str]:
        """Returns the settings of timing that are not as they are when left out."""
        of_timing = dict.fromkeys((setting.name for setting in fields(Timing)), self.timing)
        holders: dict[str, object] = {"precision": self, "runtime": self, **of_timing}
        return [
            name
            for name, holder in holders.items()
            if getattr(holder, name) != getattr(type(holder), name)
        ]

    def _target(
        self, checkpoint: Checkpoint, batches: Sequence[Batch], context: Context
    ) -> PruningTarget:
        """Returns the target, its table measured.

        Raises:
            PassError: If the model keeps it already.
        """
        reference = self._reference(checkpoint, context)
        widths = shape_of(reference.model)
        latency = None
        if self.target_params is not None:
            table, name, value = parameters_table(reference.model), "params", self.target_params
        elif self.target_flops is not None:
            table, name = flops_table(reference.model, batches), "FLOPs"
            value = self.target_flops
        else:
            latency = MeasureLatency(
                context.fitted, self.timing, self.precision, self.runtime, self.seed
            )
            table = latency.table(reference, progress=context.progress)
            name, value = "latency", self.target_latency or 0.0
        whole = table.predict(widths.layer_heads, widths.layer_ffn)
        if self.target_speedup is not None:
            goal, asked = whole / self.target_speedup, f"a speed-up of {self.target_speedup:g}"
        elif name == "latency":
            goal, asked = value, f"a latency of {value * 1e3:g} ms"
        else:
            goal = value * whole if value < 1 else value
            asked = f"{value:.1%} of the {name}" if value < 1 else f"{value:,.0f} {name}"
        target = PruningTarget(table, whole, goal, asked, reference, latency)
        if goal >= whole:
            raise PassError(f"{asked} is met already: the model has {target.amount(whole)}")
        return target

    def _reference(self, checkpoint: Checkpoint, context: Context) -> Checkpoint:
        if self.reference is None:
            return checkpoint
        if not self.reference:
            return context.original()
        reference = load(self.reference, task=checkpoint.task)
        if not isinstance(reference, Checkpoint):
            raise PassError(f"the reference {self.reference} is a graph; give the checkpoint")
        return reference
