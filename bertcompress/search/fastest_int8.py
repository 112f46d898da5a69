"""INT8 the fastest way that holds the accuracy: every way timed on this machine, the best kept.

1. **Ways.** Ranges found beforehand (``static``), the same after SmoothQuant where it is free
   (``smoothed``), ranges as they come (``dynamic``), 8-bit blocks (``blocks``) and what NNCF makes
   (``nncf``, where it is installed) are timed against each other and the float graph, and judged
   on texts held out. The fastest whose answers hold is the result; among those as fast within 2 %,
   the one whose answers are nearest to the float graph's.
2. **Layer by layer**, where none holds or a time is given: what each product costs the answers
   (alone in INT8, and alone spared) against the time that INT8 saves it, both measured; dynamic
   programming picks what stays in float for the least time, and every choice is judged.
   The costs are those of the first way (NNCF would calibrate anew for each product), the choices
   are made in the fastest.
3. **No way holds**: the best attempt is the result, marked as rejected with the reason and the
   products that cost the most. Whoever asked decides what to do with it; the command ends with 3
   or 4.

Half of what INT8 saves may be given back for accuracy, not more: what is left would be a float
model with integers' errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from bertcompress.artifacts.artifact import Kind, OnnxModel, Step
from bertcompress.codec import from_plain
from bertcompress.errors import ParityError, UsageError, did_you_mean
from bertcompress.graph.products import HEADS
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.quantize.audit import QuantizationDetails, check_patterns
from bertcompress.passes.quantize.smooth_activations import (
    SmoothActivations,
    SmoothedLayer,
    SmoothingDetails,
)
from bertcompress.passes.ranges import Ranges
from bertcompress.passes.settings import Need
from bertcompress.progress import Progress
from bertcompress.search.int8_candidates import (
    PROFILES,
    Int8Candidate,
    Make,
    WaysDetails,
    ways_to_int8,
)
from bertcompress.search.latency_table import MeasureLatency, Timing
from bertcompress.search.mixed_precision import Costs, measured_costs, spared
from bertcompress.search.trials import QuantizationTrials

SHARES = (0.05, 0.1, 0.2, 0.35, 0.5)
"""Parts of the time that INT8 saves which are given back, tried in this order."""
LEVEL = 0.02
"""Ways whose times differ by no more are as fast as each other."""
_FLOAT = "float"
_WORST = 5


@dataclass(frozen=True)
class QuantizeBest(Pass[OnnxModel, OnnxModel]):
    """Quantizes to 8 bits the fastest way that holds the accuracy.

    Attributes:
        ranges: How ranges are found, on the examples that are not held out.
        timing: How the ways are timed.
        max_drop: What the metric may lose on texts held out, 0..1.
        target_latency: Seconds a text that must be kept: then the most accurate way within them is
            taken. None takes the fastest that holds.
        profiles: Which ways are tried, of `PROFILES`; NNCF is one more where it is installed.
        embeddings: Whether the embedding tables become INT8 too.
        keep_float: Modules that stay in float, names or patterns.
        seed: Draws examples, and the inputs on which the drift is measured.
    """

    ranges: Ranges = field(default_factory=Ranges)
    timing: Timing = field(default_factory=Timing)
    max_drop: float = 0.005
    target_latency: float | None = None
    profiles: tuple[str, ...] = PROFILES
    embeddings: bool = True
    keep_float: tuple[str, ...] = HEADS
    seed: int = 0

    consumes: ClassVar[Kind] = "onnx"
    produces: ClassVar[Kind] = "onnx"

    def __post_init__(self) -> None:
        check_patterns(self.keep_float)
        if not 0 <= self.max_drop < 1:
            raise UsageError(
                f"max_drop must be 0 or more and below 1, got {self.max_drop:g}; 0.005 is half a "
                "point"
            )
        if self.target_latency is not None and self.target_latency <= 0:
            raise UsageError(f"target_latency must be above 0 s, got {self.target_latency:g}")
        for name in self.profiles or ("",):
            if name not in PROFILES:
                raise UsageError(
                    f"profiles must be of {', '.join(PROFILES)}, got {name!r}"
                    + did_you_mean(name, PROFILES)
                )
        if self.ranges.table is not None:
            raise UsageError(
                "a saved table holds for one way of quantizing, and several are tried; leave table "
                "out, or take --method static"
            )

    @property
    def needs(self) -> tuple[Need, ...]:
        """Examples, to find ranges on and to judge by."""
        return ("examples", "held out")

    def check(self, context: Context) -> None:
        """Refuses a context without examples."""
        if not context.has_examples:
            raise UsageError(
                "the fastest INT8 that holds its accuracy is found on data and none was given; add "
                "--data, or take --method dynamic, which needs none"
            )

    def apply(self, model: OnnxModel, context: Context) -> tuple[OnnxModel, WaysDetails]:
        """Returns the graph; the details tell every way that was tried.

        Raises:
            CalibrationError: If no range can be found.
            FusionAuditError: If ONNX Runtime would run a product in float unasked.
            UsageError: If only ``smoothed`` is to be tried and there is nothing to smooth, or no
                texts are left to judge by.
            ParityError: If the answers of all ways collapsed.
        """
        tried, collapsed, costs = _Search.of(self, model, context).run()
        chosen = self.chosen(tried)
        before, after = len(model.history), chosen.model.history
        details = WaysDetails(
            **vars(from_plain(QuantizationDetails, after[-1].details)),
            chosen=chosen.name,
            ways_tried=tuple(candidate.row(chosen=candidate is chosen) for candidate in tried),
            ways_that_collapsed=", ".join(collapsed) or None,
            smoothing=_smoothing(after[before:]),
            products_that_cost_most=costs.worst(_WORST) if costs is not None else None,
            spared=", ".join(chosen.spared) or None,
        )
        return chosen.model, self._marked(details, chosen, tried, costs)

    def holds(self, candidate: Int8Candidate) -> bool:
        """Whether the accuracy is kept."""
        return candidate.judgement.drop <= self.max_drop

    def in_time(self, candidate: Int8Candidate) -> bool:
        """Whether the time is kept, if one is asked."""
        return self.target_latency is None or candidate.seconds <= self.target_latency

    def chosen(self, tried: Sequence[Int8Candidate]) -> Int8Candidate:
        """Returns the fastest that holds; within a time, the most accurate; else the nearest."""
        timely = [candidate for candidate in tried if self.in_time(candidate)]
        if self.target_latency is not None:
            if not timely:
                return min(tried, key=_seconds)
            return min(timely, key=lambda each: (not self.holds(each), each.judgement.divergence))
        holding = [candidate for candidate in timely if self.holds(candidate)]
        if holding:
            level = (1 + LEVEL) * min(map(_seconds, holding))
            as_fast = [candidate for candidate in holding if candidate.seconds <= level]
            return min(as_fast, key=lambda each: each.judgement.divergence)
        return min(tried, key=lambda each: (each.judgement.drop, each.seconds))

    def _marked(
        self,
        details: WaysDetails,
        chosen: Int8Candidate,
        tried: Sequence[Int8Candidate],
        costs: Costs | None,
    ) -> WaysDetails:
        """Marks a result that does not keep what was asked as rejected."""
        if not self.in_time(chosen):
            return replace(
                details,
                rejected_for="speed",
                rejected=f"{1e3 * chosen.seconds:.2f} ms a text is the fastest ({chosen.name}), "
                f"{1e3 * (self.target_latency or 0):.2f} ms were asked; prune first, or allow more",
            )
        if self.holds(chosen):
            return details
        names = ", ".join(row.module for row in costs.worst(_WORST)) if costs is not None else ""
        ways = sum(not candidate.spared for candidate in tried)
        given_back = ways < len(tried)
        return replace(
            details,
            rejected_for="accuracy",
            rejected=f"the best of {ways} ways of INT8"
            + (", with half of its gain in time given back," if given_back else "")
            + f" loses {100 * chosen.judgement.drop:.2f} points on texts held out, "
            f"{100 * self.max_drop:.2f} were allowed; the products that cost most: {names}",
        )


@dataclass(frozen=True)
class _Search:
    """One search: the ways, made and measured, and where none holds, layer by layer."""

    settings: QuantizeBest
    model: OnnxModel
    ways: Mapping[str, Make]
    trials: QuantizationTrials
    progress: Progress

    @classmethod
    def of(cls, settings: QuantizeBest, model: OnnxModel, context: Context) -> _Search:
        """Returns the search of these settings, calibrated on what is not held out."""
        fitted, held_out = context.fitted, context.held_out
        latency = MeasureLatency(held_out or fitted, settings.timing, seed=settings.seed)
        trials = QuantizationTrials(held_out, latency, seed=settings.seed)
        ways = ways_to_int8(
            model,
            settings.profiles,
            settings.ranges,
            context.changed(examples=fitted),
            embeddings=settings.embeddings,
            seed=settings.seed,
        )
        return cls(settings, model, ways, trials, context.progress)

    def run(self) -> tuple[list[Int8Candidate], list[str], Costs | None]:
        """Returns what was tried, the ways that collapsed, and what products cost if ranked."""
        graphs, collapsed = self._all_made()
        tried = self._measured(graphs)
        timely = [candidate for candidate in tried if self.settings.in_time(candidate)]
        if not timely or any(map(self.settings.holds, timely)):
            return tried, collapsed, None
        fastest = min(tried, key=_seconds)
        first = next(name for name in self.ways if name not in collapsed)
        costs = self._costs(self.ways[first])
        return [*tried, *self._mixed(costs, fastest)], collapsed, costs

    def _all_made(self) -> tuple[dict[str, OnnxModel], list[str]]:
        """Returns each way's graph, and the ways whose answers collapsed; fails if all did."""
        graphs, collapsed = {}, []
        for number, (name, make) in enumerate(self.ways.items()):
            self.progress("quantize: ways", number, len(self.ways))
            try:
                graphs[name] = make(self.settings.keep_float)
            except ParityError:
                collapsed.append(name)
                if len(collapsed) == len(self.ways):
                    raise
        self.progress("quantize: ways", len(self.ways), len(self.ways))
        return graphs, collapsed

    def _measured(self, graphs: Mapping[str, OnnxModel]) -> list[Int8Candidate]:
        judged = self.trials.judge(graphs, against=self.model)
        seconds = self.trials.latency.seconds(
            {_FLOAT: self.model, **graphs}, progress=self.progress
        )
        return [
            Int8Candidate(name, graph, judged[name], seconds[name], seconds[_FLOAT] / seconds[name])
            for name, graph in graphs.items()
        ]

    def _costs(self, make: Make) -> Costs:
        def judged(models: Mapping[str, OnnxModel]) -> dict[str, float]:
            judgements = self.trials.judge(models, against=self.model, quick=True)
            return {name: judgement.divergence for name, judgement in judgements.items()}

        keep_float = self.settings.keep_float
        return measured_costs(
            self.model,
            lambda more: make((*keep_float, *more)),
            keep_float=keep_float,
            divergences=judged,
            product_seconds=self.trials.product_seconds,
            progress=self.progress,
        )

    def _mixed(self, costs: Costs, fastest: Int8Candidate) -> list[Int8Candidate]:
        """Spares products of the fastest way, more and more, until one holds."""
        tried: list[Int8Candidate] = []
        seen: set[tuple[str, ...]] = {()}
        for share in SHARES:
            modules = spared(costs, share)
            if modules in seen:
                continue
            seen.add(modules)
            name = f"{fastest.name}, {len(modules)} products in float"
            graph = self.ways[fastest.name]((*self.settings.keep_float, *modules))
            (candidate,) = self._measured({name: graph})
            tried.append(replace(candidate, spared=modules))
            if self.settings.holds(candidate) or not self.settings.in_time(candidate):
                break
        return tried


def _smoothing(steps: Sequence[Step]) -> tuple[SmoothedLayer, ...] | None:
    """Returns the layers that the chosen way smoothed before, if it did."""
    for step in steps:
        if step.name == SmoothActivations.__name__:
            return from_plain(SmoothingDetails, step.details).layers
    return None


def _seconds(candidate: Int8Candidate) -> float:
    return candidate.seconds
