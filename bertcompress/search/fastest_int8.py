"""INT8 the fastest way that holds the accuracy: every way timed on this machine, the best kept.

1. **Ways.** Ranges found beforehand (``static``), the same after SmoothQuant where it is free
   (``smoothed``), ranges as they come (``dynamic``), 8-bit blocks (``blocks``) and what NNCF makes
   (``nncf``, if it is given) are timed against each other and the float graph, and judged on texts
   held out. The fastest whose answers hold is the result; among those as fast within 2 %, the one
   whose answers are nearest to the float graph's.
2. **Layer by layer**, where none holds or a time is given: what each product costs the answers
   (alone in INT8, and alone spared) against the time that INT8 saves it, both measured; dynamic
   programming picks what stays in float for the least time, and every choice is judged in truth.
   The costs are those of the first way (NNCF would calibrate anew for each product), the choices
   are made in the fastest.
3. **No way holds**: the best attempt is the result, marked as rejected with the reason and the
   products that cost the most. Whoever asked decides what to do with it; the command ends with 3
   or 4.

Half of what INT8 saves may be given back for accuracy, not more: what is left would be a float
model with integers' errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from bertcompress.artifacts.artifact import Artifact, Kind, OnnxModel, Step, StepTimer
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.artifacts.manifest import REJECTED, REJECTED_FOR
from bertcompress.errors import ParityError, UsageError, did_you_mean
from bertcompress.graph.products import HEADS
from bertcompress.passes.base import NOT_A_SETTING, graph_for, settings_of
from bertcompress.passes.quantize.audit import check_patterns
from bertcompress.passes.quantize.quantize_nncf import QuantizeNncf
from bertcompress.passes.quantize.smooth_activations import LAYERS, SmoothActivations
from bertcompress.progress import Progress, silent
from bertcompress.search.int8_ways import PROFILES, Way, int8_ways
from bertcompress.search.mixed_precision import Costs, measured_costs, spared
from bertcompress.search.quantization_ways import Trials, Tried

WAYS = "ways tried"
"""The key of the step's details that lists every way, measured."""
SHARES = (0.05, 0.1, 0.2, 0.35, 0.5)
"""Parts of the time that INT8 saves which are given back, tried in this order."""
LEVEL = 0.02
"""Ways whose times differ by no more are as fast as each other."""
_FLOAT = "float"
_WORST = 5


@dataclass(frozen=True)
class QuantizeBest:
    """Quantizes to 8 bits the fastest way that holds the accuracy.

    Attributes:
        calibrate: Finds the ranges, as for `QuantizeStatic`.
        trials: Times and judges on this machine.
        max_drop: What the metric may lose on texts held out, 0..1.
        target_latency: Seconds a text that must be kept: then the most accurate way within them is
            taken. None takes the fastest that holds.
        profiles: Which ways are tried, of `PROFILES`.
        nncf: One more way, where NNCF is installed.
        embeddings: Whether the embedding tables become INT8 too.
        keep_float: Modules that stay in float, names or patterns.
        seed: Draws the inputs on which the drift is measured.
    """

    calibrate: Callable[[OnnxModel], CalibrationTable]
    trials: Trials = field(metadata=NOT_A_SETTING)
    max_drop: float = 0.005
    target_latency: float | None = None
    profiles: tuple[str, ...] = PROFILES
    nncf: QuantizeNncf | None = None
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

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> OnnxModel:
        """Returns the graph; its last step's details tell every way that was tried.

        Raises:
            PassError: If the artifact is a checkpoint.
            CalibrationError: If no range can be found.
            FusionAuditError: If ONNX Runtime would run a product in float unasked.
            UsageError: If only ``smoothed`` is to be tried and there is nothing to smooth.
            ParityError: If the answers of all ways collapsed.
        """
        model = graph_for(self, artifact)
        timer = StepTimer(model)
        ways = int8_ways(
            model,
            self.profiles,
            self.calibrate,
            self.nncf,
            embeddings=self.embeddings,
            seed=self.seed,
        )
        made, collapsed = self._all_made(ways, progress)
        tried = self._measured(model, made, progress)
        costs = None
        holds = any(self._holds(one) and self._in_time(one) for one in tried)
        if not holds and any(self._in_time(one) for one in tried):
            fastest = min(tried, key=_seconds)
            first = next(name for name in ways if name not in collapsed)
            costs = self._costs(model, ways[first], progress)
            tried += self._mixed(model, ways, costs, fastest, progress)
        chosen = self._chosen(tried)
        before = len(model.history)
        details = {
            **chosen.model.history[-1].details,
            "chosen": chosen.name,
            WAYS: [one.to_json(chosen) for one in tried],
            **({"ways that collapsed": ", ".join(collapsed)} if collapsed else {}),
            **self._smoothing(chosen.model.history[before:]),
            **self._remarks(chosen, tried, costs),
        }
        step = timer.step("QuantizeBest", settings_of(self), chosen.model, details=details)
        return replace(chosen.model, history=(*model.history, step))

    def _all_made(
        self, ways: Mapping[str, Way], progress: Progress
    ) -> tuple[dict[str, OnnxModel], list[str]]:
        """Returns each way's graph, and the ways whose answers collapsed; fails if all did."""
        made, collapsed = {}, []
        for number, (name, way) in enumerate(ways.items()):
            progress("quantize: ways", number, len(ways))
            try:
                made[name] = way(self.keep_float)
            except ParityError:
                collapsed.append(name)
                if len(collapsed) == len(ways):
                    raise
        progress("quantize: ways", len(ways), len(ways))
        return made, collapsed

    def _measured(
        self, model: OnnxModel, made: Mapping[str, OnnxModel], progress: Progress
    ) -> list[Tried]:
        judged = self.trials.judge(made, against=model)
        seconds = self.trials.seconds({_FLOAT: model, **made}, progress=progress)
        return [
            Tried(name, one, judged[name], seconds[name], seconds[_FLOAT] / seconds[name])
            for name, one in made.items()
        ]

    def _costs(self, model: OnnxModel, way: Way, progress: Progress) -> Costs:
        def judged(models: Mapping[str, OnnxModel]) -> dict[str, float]:
            found = self.trials.judge(models, against=model, quick=True)
            return {name: one.divergence for name, one in found.items()}

        return measured_costs(
            model,
            lambda more: way((*self.keep_float, *more)),
            keep_float=self.keep_float,
            divergences=judged,
            product_seconds=self.trials.product_seconds,
            progress=progress,
        )

    def _mixed(
        self,
        model: OnnxModel,
        ways: Mapping[str, Way],
        costs: Costs,
        fastest: Tried,
        progress: Progress,
    ) -> list[Tried]:
        """Spares products of the fastest way, more and more, until one holds."""
        tried: list[Tried] = []
        seen: set[tuple[str, ...]] = {()}
        for share in SHARES:
            modules = spared(costs, share)
            if modules in seen:
                continue
            seen.add(modules)
            name = f"{fastest.name}, {len(modules)} products in float"
            made = ways[fastest.name]((*self.keep_float, *modules))
            (one,) = self._measured(model, {name: made}, progress)
            tried.append(replace(one, spared=modules))
            if self._holds(one) or not self._in_time(one):
                break
        return tried

    def _holds(self, one: Tried) -> bool:
        return one.judgement.drop <= self.max_drop

    def _in_time(self, one: Tried) -> bool:
        return self.target_latency is None or one.seconds <= self.target_latency

    def _chosen(self, tried: list[Tried]) -> Tried:
        """The fastest that holds; within a time, the most accurate; else the nearest to it."""
        timely = [one for one in tried if self._in_time(one)]
        if self.target_latency is not None:
            if not timely:
                return min(tried, key=_seconds)
            return min(timely, key=lambda one: (not self._holds(one), one.judgement.divergence))
        holding = [one for one in timely if self._holds(one)]
        if holding:
            level = (1 + LEVEL) * min(map(_seconds, holding))
            as_fast = [one for one in holding if one.seconds <= level]
            return min(as_fast, key=lambda one: one.judgement.divergence)
        return min(tried, key=lambda one: (one.judgement.drop, one.seconds))

    def _smoothing(self, steps: Sequence[Step]) -> dict[str, object]:
        """Returns the layers that the chosen way smoothed before, if it did."""
        smoothed = [step for step in steps if step.name == SmoothActivations.__name__]
        return {"smoothing": smoothed[0].details[LAYERS]} if smoothed else {}

    def _remarks(
        self, chosen: Tried, tried: Sequence[Tried], costs: Costs | None
    ) -> dict[str, object]:
        remarks: dict[str, object] = {}
        if costs is not None:
            remarks["products that cost most"] = costs.worst(_WORST)
        if chosen.spared:
            remarks["spared"] = ", ".join(chosen.spared)
        if not self._in_time(chosen):
            remarks[REJECTED_FOR] = "speed"
            remarks[REJECTED] = (
                f"{1e3 * chosen.seconds:.2f} ms a text is the fastest ({chosen.name}), "
                f"{1e3 * (self.target_latency or 0):.2f} ms were asked; prune first, or allow more"
            )
        elif not self._holds(chosen):
            worst = costs.worst(_WORST) if costs is not None else []
            ways = sum(not one.spared for one in tried)
            names = ", ".join(str(one["module"]) for one in worst)
            remarks[REJECTED_FOR] = "accuracy"
            remarks[REJECTED] = (
                f"the best of {ways} ways of INT8, with half of its gain in time "
                f"given back, loses {100 * chosen.judgement.drop:.2f} points on texts held out, "
                f"{100 * self.max_drop:.2f} were allowed; the products that cost most: {names}"
            )
        return remarks


def _seconds(one: Tried) -> float:
    return one.seconds
