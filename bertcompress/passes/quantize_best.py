"""INT8 the fastest way that holds the accuracy: every way timed on this machine, the best kept.

1. **Profiles.** Ranges found beforehand (``static``), ranges as they come (``dynamic``) and 8-bit
   blocks (``blocks``) are made, timed against each other and the float graph, and judged on texts
   held out. The fastest whose answers hold is the result.
2. **Layer by layer**, where none holds or a time is given: what each product costs the answers
   (alone in INT8, and alone spared) against the time that INT8 saves it, both measured; dynamic
   programming picks what stays in float for the least time, and every choice is judged in truth.
3. **No way holds**: the best attempt is the result, marked as rejected with the reason and the
   products that cost the most. Whoever asked decides what to do with it; the command ends with 3
   or 4.

Half of what INT8 saves may be given back for accuracy, not more: what is left would be a float
model with integers' errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

from bertcompress.artifact import Artifact, Kind, OnnxModel, StepTimer
from bertcompress.calibration_table import CalibrationTable
from bertcompress.errors import UsageError, did_you_mean
from bertcompress.manifest import REJECTED, REJECTED_FOR
from bertcompress.passes.base import NOT_A_SETTING, graph_for, settings_of
from bertcompress.passes.mixed_precision import Costs, measured_costs, spared
from bertcompress.passes.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize_static import QuantizeStatic
from bertcompress.passes.quantize_weights import QuantizeWeights
from bertcompress.passes.quantized import HEADS, check_patterns
from bertcompress.progress import Progress, silent

PROFILES = ("static", "dynamic", "blocks")
WAYS = "ways tried"
"""The key of the step's details that lists every way, measured."""
SHARES = (0.05, 0.1, 0.2, 0.35, 0.5)
"""Parts of the time that INT8 saves which are given back, tried in this order."""
_FLOAT = "float"
_WORST = 5


@dataclass(frozen=True)
class Judgement:
    """How the answers of a graph compare with the float graph's on texts held out.

    Attributes:
        drop: What the metric lost, 0..1; below 0 where it gained. Without labels, the share of
            answers that differ.
        divergence: The mean Kullback-Leibler divergence of the answers from the float graph's.
    """

    drop: float
    divergence: float


class Trials(Protocol):
    """Runs graphs on this machine."""

    def judge(
        self, models: Mapping[str, OnnxModel], *, against: OnnxModel, quick: bool = False
    ) -> dict[str, Judgement]:
        """Judges graphs by their answers; `quick` takes fewer texts."""
        ...

    def seconds(self, models: Mapping[str, OnnxModel], *, progress: Progress) -> dict[str, float]:
        """Times graphs against each other: seconds a text."""
        ...

    def product_seconds(self, model: OnnxModel) -> dict[str, float]:
        """Returns the seconds of each weight product, by module."""
        ...


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
        embeddings: Whether the embedding tables become INT8 too.
        keep_float: Modules that stay in float, names or patterns.
        seed: Draws the inputs on which the drift is measured.
    """

    calibrate: Callable[[OnnxModel], CalibrationTable]
    trials: Trials = field(metadata=NOT_A_SETTING)
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

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> OnnxModel:
        """Returns the graph; its last step's details tell every way that was tried.

        Raises:
            PassError: If the artifact is a checkpoint.
            CalibrationError: If no range can be found.
            FusionAuditError: If ONNX Runtime would run a product in float unasked.
            ParityError: If the answers collapsed.
        """
        model = graph_for(self, artifact)
        timer = StepTimer(model)
        table = self.calibrate(model)
        tried = self._profiles(model, table, progress)
        costs = None
        holds = any(self._holds(one) and self._in_time(one) for one in tried)
        if not holds and any(self._in_time(one) for one in tried):
            costs = self._costs(model, table, progress)
            tried += self._mixed(model, table, costs, min(tried, key=_seconds), progress)
        chosen = self._chosen(tried)
        details = {
            **chosen.model.history[-1].details,
            "chosen": chosen.name,
            WAYS: [one.to_json(chosen) for one in tried],
            **self._remarks(chosen, costs),
        }
        step = timer.step("QuantizeBest", settings_of(self), chosen.model, details=details)
        return replace(chosen.model, history=(*model.history, step))

    def _profiles(
        self, model: OnnxModel, table: CalibrationTable, progress: Progress
    ) -> list[_Tried]:
        made = {}
        for number, name in enumerate(self.profiles):
            progress("quantize: ways", number, len(self.profiles))
            made[name] = self._made(model, table, name, ())
        progress("quantize: ways", len(self.profiles), len(self.profiles))
        return self._measured(model, made, progress)

    def _made(
        self, model: OnnxModel, table: CalibrationTable, profile: str, more: tuple[str, ...]
    ) -> OnnxModel:
        keep = (*self.keep_float, *more)
        if profile == "static":
            static = QuantizeStatic(
                lambda _: table, embeddings=self.embeddings, keep_float=keep, seed=self.seed
            )
            return static(model)
        if profile == "dynamic":
            return QuantizeDynamic(self.embeddings, keep_float=keep, seed=self.seed)(model)
        blocks = QuantizeWeights(
            bits=8, block_size=128, embeddings=self.embeddings, keep_float=keep, seed=self.seed
        )
        return blocks(model)

    def _measured(
        self, model: OnnxModel, made: Mapping[str, OnnxModel], progress: Progress
    ) -> list[_Tried]:
        judged = self.trials.judge(made, against=model)
        seconds = self.trials.seconds({_FLOAT: model, **made}, progress=progress)
        return [
            _Tried(name, one, judged[name], seconds[name], seconds[_FLOAT] / seconds[name])
            for name, one in made.items()
        ]

    def _costs(self, model: OnnxModel, table: CalibrationTable, progress: Progress) -> Costs:
        def judged(models: Mapping[str, OnnxModel]) -> dict[str, float]:
            found = self.trials.judge(models, against=model, quick=True)
            return {name: one.divergence for name, one in found.items()}

        profile = "static" if "static" in self.profiles else self.profiles[0]
        return measured_costs(
            model,
            lambda keep: self._made(model, table, profile, keep),
            keep_float=self.keep_float,
            divergences=judged,
            product_seconds=self.trials.product_seconds,
            progress=progress,
        )

    def _mixed(
        self,
        model: OnnxModel,
        table: CalibrationTable,
        costs: Costs,
        fastest: _Tried,
        progress: Progress,
    ) -> list[_Tried]:
        """Spares products of the fastest way, more and more, until one holds."""
        tried: list[_Tried] = []
        seen: set[tuple[str, ...]] = {()}
        for share in SHARES:
            modules = spared(costs, share)
            if modules in seen:
                continue
            seen.add(modules)
            name = f"{fastest.name}, {len(modules)} products in float"
            made = self._made(model, table, fastest.name, modules)
            (one,) = self._measured(model, {name: made}, progress)
            tried.append(replace(one, spared=modules))
            if self._holds(one) or not self._in_time(one):
                break
        return tried

    def _holds(self, one: _Tried) -> bool:
        return one.judgement.drop <= self.max_drop

    def _in_time(self, one: _Tried) -> bool:
        return self.target_latency is None or one.seconds <= self.target_latency

    def _chosen(self, tried: list[_Tried]) -> _Tried:
        """The fastest that holds; within a time, the most accurate; else the nearest to it."""
        timely = [one for one in tried if self._in_time(one)]
        if self.target_latency is not None:
            if not timely:
                return min(tried, key=_seconds)
            return min(timely, key=lambda one: (not self._holds(one), one.judgement.divergence))
        holding = [one for one in timely if self._holds(one)]
        if holding:
            return min(holding, key=_seconds)
        return min(tried, key=lambda one: (one.judgement.drop, one.seconds))

    def _remarks(self, chosen: _Tried, costs: Costs | None) -> dict[str, object]:
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
            names = ", ".join(str(one["module"]) for one in worst)
            remarks[REJECTED_FOR] = "accuracy"
            remarks[REJECTED] = (
                f"the best of {len(self.profiles)} ways of INT8, with half of its gain in time "
                f"given back, loses {100 * chosen.judgement.drop:.2f} points on texts held out, "
                f"{100 * self.max_drop:.2f} were allowed; the products that cost most: {names}"
            )
        return remarks


@dataclass(frozen=True)
class _Tried:
    """One way, measured."""

    name: str
    model: OnnxModel
    judgement: Judgement
    seconds: float
    speedup: float
    spared: tuple[str, ...] = ()

    def to_json(self, chosen: _Tried) -> dict[str, object]:
        return {
            "way": self.name,
            "ms": round(1e3 * self.seconds, 3),
            "speed-up": round(self.speedup, 2),
            "points lost": round(100 * self.judgement.drop, 2),
            "divergence": float(f"{self.judgement.divergence:.3g}"),
            "MB": round(self.model.size_bytes / 1e6, 1),
            "chosen": self is chosen,
        }


def _seconds(one: _Tried) -> float:
    return one.seconds
