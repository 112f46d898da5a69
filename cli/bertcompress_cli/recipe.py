"""What a recipe is, and the passes that its steps stand for.

This is the only place that knows passes by name: a recipe says ``prune-heads``, and `STEPS` says
which class that is. A step's settings are the class's fields; examples, seeds and state folders
are filled in from the recipe.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from bertcompress.bench.gate import GateLimits
from bertcompress.bench.measure_latency import MeasureLatency
from bertcompress.bench.quantization_trials import QuantizationTrials
from bertcompress.bench.settings import BenchSettings
from bertcompress.errors import UsageError, did_you_mean
from bertcompress.passes.base import Pass
from bertcompress.passes.block_rounding import WITHOUT_DATA
from bertcompress.passes.export_onnx import ExportOnnx
from bertcompress.passes.finetune import Finetune
from bertcompress.passes.prune import Prune
from bertcompress.passes.prune_ffn import PruneFfn
from bertcompress.passes.prune_heads import PruneHeads
from bertcompress.passes.prune_layers import PruneLayers
from bertcompress.passes.prune_vocabulary import PruneVocabulary
from bertcompress.passes.quantize_best import QuantizeBest
from bertcompress.passes.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize_nncf import QuantizeNncf
from bertcompress.passes.quantize_static import QuantizeStatic
from bertcompress.passes.quantize_weights import QuantizeWeights
from bertcompress.passes.recover import Recover
from bertcompress.passes.relayout import Relayout
from bertcompress.passes.train_quantized import TrainQuantized
from bertcompress.passes.trained_ranges import METHOD as TRAINED
from bertcompress.progress import Progress, silent
from bertcompress_calibration import Calibrate, DrawFeatures, SavedTable
from bertcompress_cli.data_source import DataSource
from bertcompress_cli.material import Material
from bertcompress_cli.nncf_step import HELD_OUT, quantize_nncf

STEPS: Mapping[str, type] = {
    "finetune": Finetune,
    "prune": Prune,
    "prune-heads": PruneHeads,
    "prune-ffn": PruneFfn,
    "prune-layers": PruneLayers,
    "prune-vocabulary": PruneVocabulary,
    "recover": Recover,
    "train-quantized": TrainQuantized,
    "layout": Relayout,
    "export": ExportOnnx,
    "quantize": QuantizeBest,
    "quantize-static": QuantizeStatic,
    "quantize-dynamic": QuantizeDynamic,
    "quantize-weights": QuantizeWeights,
    "quantize-nncf": QuantizeNncf,
}
_FILLED_IN = (
    *("examples", "train", "validation", "calibrate", "latency", "trials"),
    *("state_folder", "progress", "draw", "split"),
)
_TABLE = "table"
_TIMING = ("length", "threads", "sentences", "rounds")
"""How the ways of quantizing are timed."""


@dataclass(frozen=True)
class StepSpec:
    """One step as a recipe writes it: a name from `STEPS` and settings as YAML values."""

    name: str
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in STEPS:
            raise UsageError(
                f"there is no step {self.name!r}{did_you_mean(self.name, STEPS)}"
                f"{'' if did_you_mean(self.name, STEPS) else '; the steps are ' + ', '.join(STEPS)}"
            )
        allowed = settings_allowed(self.name)
        for key, value in self.settings.items():
            if key not in allowed:
                raise UsageError(
                    f"{self.name} has no setting {key!r}{did_you_mean(str(key), allowed)}"
                    f"{'' if did_you_mean(str(key), allowed) else '; it has ' + ', '.join(allowed)}"
                )
            checked(value, allowed[key], f"{self.name}.{key}")

    @property
    def wants_graph(self) -> bool:
        """Whether it works on an exported graph."""
        return self.name.startswith("quantize")


@dataclass(frozen=True)
class Recipe:
    """Variants of one model: how they are made and measured.

    Attributes:
        name: What messages call it.
        model: A folder or a hub name.
        task: The task's name, where the model does not say it.
        data: Where all examples come from.
        seed: For everything drawn.
        base: Steps that all variants begin with.
        variants: The steps of each; the first is the baseline.
        bench: How much is measured; None measures nothing.
        gate: Bounds that the report must keep.
        output: The folder for everything.
    """

    name: str
    model: str
    output: Path
    variants: Mapping[str, tuple[StepSpec, ...]]
    task: str | None = None
    data: DataSource | None = None
    seed: int = 0
    base: tuple[StepSpec, ...] = ()
    bench: BenchSettings | None = None
    gate: GateLimits | None = None


def settings_allowed(name: str) -> dict[str, object]:
    """Returns the settings that a step may have, with their types."""
    allowed = _field_types(STEPS[name])
    if STEPS[name] is Prune:
        allowed = {**_field_types(MeasureLatency), **allowed}
    if STEPS[name] is QuantizeStatic:
        allowed = {**_field_types(Calibrate), **allowed, _TABLE: str | None}
    if STEPS[name] is QuantizeBest:
        timing = _field_types(MeasureLatency)
        allowed = {**{key: timing[key] for key in _TIMING}, **_field_types(Calibrate), **allowed}
    if STEPS[name] is QuantizeNncf:
        allowed = {**_field_types(DrawFeatures), **allowed, HELD_OUT: int}
    if STEPS[name] is TrainQuantized:
        allowed = {**allowed, "method": str | None, _TABLE: str | None}
    return {key: hint for key, hint in allowed.items() if key not in _FILLED_IN}


def make_pass(
    step: StepSpec, material: Material, *, seed: int, progress: Progress = silent
) -> Pass:
    """Returns the pass that a step stands for, with its examples and its seed.

    Raises:
        UsageError: A setting is outside what is allowed.
        DataError: The data can't be read.
    """
    allowed = settings_allowed(step.name)
    settings = {key: checked(value, allowed[key], key) for key, value in step.settings.items()}
    settings.setdefault("seed", seed)
    kind = STEPS[step.name]
    if kind is QuantizeStatic:
        return _quantize_static(settings, material, progress)
    if kind is QuantizeBest:
        return _quantize_best(settings, material, progress)
    if kind is QuantizeNncf:
        return quantize_nncf(settings, material)
    if kind is Prune:
        return _prune(settings, material)
    names = {one.name for one in fields(kind)}
    if "examples" in names:
        settings["examples"] = () if _needs_no_data(settings) else material.examples
    if kind in (Recover, TrainQuantized):
        settings.setdefault("teacher", "")  # the recipe's own model, see make_passes
    if kind is TrainQuantized:
        settings = _train_quantized(settings, material, progress)
    if kind is Finetune:
        settings["train"], settings["validation"] = material.train, material.validation
    made: Pass = kind(**settings)
    return made


def with_exports(
    steps: Sequence[StepSpec], *, is_graph: bool, graph_wanted: bool
) -> tuple[StepSpec, ...]:
    """Puts an export before the first step that works on a graph, and last if one is wanted."""
    made: list[StepSpec] = []
    for step in steps:
        if step.wants_graph and not is_graph:
            made.append(StepSpec("export"))
            is_graph = True
        made.append(step)
        is_graph = is_graph or step.name == "export"
    if graph_wanted and not is_graph:
        made.append(StepSpec("export"))
    return tuple(made)


def checked(value: object, hint: object, where: str) -> object:
    """Returns a YAML value as the type that a setting has.

    Raises:
        UsageError: It is of another type.
    """
    if get_origin(hint) in (typing.Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        kinds = [one for one in get_args(hint) if one is not type(None)]
        return checked(value, kinds[0], where)
    if get_origin(hint) is Literal:
        return value  # the pass lists what it allows
    if get_origin(hint) is tuple:
        return _checked_list(value, get_args(hint)[0], where)
    if hint is bool:
        if isinstance(value, bool):
            return value
        raise UsageError(f"{where} must be true or false, got {value!r}")
    if hint is float:
        return _number(value, where)
    if hint is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise UsageError(f"{where} must be a whole number, got {value!r}")
    if not isinstance(value, str):
        raise UsageError(f"{where} must be a text, got {value!r}")
    return value


def _checked_list(value: object, kind: object, where: str) -> tuple[object, ...]:
    if not isinstance(value, list | tuple):
        raise UsageError(f"{where} must be a list, got {value!r}")
    return tuple(checked(one, kind, where) for one in value)


def _number(value: object, where: str) -> float:
    """YAML reads ``5e-5`` as a text, so texts that are numbers are taken as numbers."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    raise UsageError(f"{where} must be a number, got {value!r}")


def _field_types(kind: type) -> dict[str, object]:
    hints = get_type_hints(kind)
    return {one.name: hints[one.name] for one in fields(kind)}


def _needs_no_data(settings: Mapping[str, object]) -> bool:
    if settings.get("score") in ("magnitude", "random"):
        return True
    return settings.get("rounding") in WITHOUT_DATA and settings.get("target_size") is None


def _prune(settings: Mapping[str, object], material: Material) -> Prune:
    own = {one.name for one in fields(Prune)}
    pruning = {key: value for key, value in settings.items() if key in own}
    timing = {key: value for key, value in settings.items() if key not in own}
    examples = material.examples
    if any(pruning.get(name) is not None for name in ("target_speedup", "target_latency")):
        timing["seed"] = settings["seed"]
        pruning["latency"] = MeasureLatency(examples, **timing)  # type: ignore[arg-type]  # checked above
    elif timing:
        raise UsageError(f"{next(iter(timing))} is for a target in time; add target_speedup")
    return Prune(examples, **pruning)  # type: ignore[arg-type]  # checked above


def _quantize_best(
    settings: Mapping[str, object], material: Material, progress: Progress
) -> QuantizeBest:
    own = {one.name for one in fields(QuantizeBest)}
    timing = {key: value for key, value in settings.items() if key in _TIMING}
    ranging = {
        key: value
        for key, value in settings.items()
        if key == "seed" or (key not in own and key not in timing)
    }
    examples, held_out = material.calibration
    if not examples:
        raise UsageError(
            "the fastest INT8 that holds its accuracy is found on data and none was given; add "
            "--data, or take --method dynamic, which needs none"
        )
    seed = typing.cast("int", settings["seed"])
    latency = MeasureLatency(held_out or examples, **timing, seed=seed)  # type: ignore[arg-type]  # checked above
    return QuantizeBest(
        calibrate=Calibrate(examples, split=material.split, progress=progress, **ranging),  # type: ignore[arg-type]  # checked above
        trials=QuantizationTrials(held_out, latency, seed=seed),
        **{key: value for key, value in settings.items() if key in own},  # type: ignore[arg-type]  # checked above
    )


def _quantize_static(
    settings: Mapping[str, object], material: Material, progress: Progress
) -> QuantizeStatic:
    own = {one.name for one in fields(QuantizeStatic)}
    quantizing = {key: value for key, value in settings.items() if key in own}
    ranging = {key: value for key, value in settings.items() if key not in own or key == "seed"}
    if ranging.get("method") == TRAINED:
        _check_unused(ranging, "the ranges of training", but="method")
        return QuantizeStatic(**quantizing)  # type: ignore[arg-type]  # checked above
    calibrate = _calibrator(ranging, material, progress)
    return QuantizeStatic(calibrate=calibrate, **quantizing)  # type: ignore[arg-type]  # checked above


def _train_quantized(
    settings: Mapping[str, object], material: Material, progress: Progress
) -> dict[str, object]:
    """Returns the pass's fields, with a calibrator where it needs one."""
    own = {one.name for one in fields(TrainQuantized)}
    training = {key: value for key, value in settings.items() if key in own}
    ranging = {key: value for key, value in settings.items() if key not in own or key == "seed"}
    if training.get("bits") == 4:
        _check_unused(ranging, "4 bits, which have no ranges", but="seed")
    elif material.examples:
        training["calibrate"] = _calibrator(ranging, material, progress)
    return training


def _calibrator(
    ranging: Mapping[str, object], material: Material, progress: Progress
) -> Calibrate | SavedTable:
    """Returns what finds ranges: on the examples, or in a saved table."""
    table = ranging.get(_TABLE)
    if table is not None:
        _check_unused(ranging, "a saved table", but=_TABLE)
        return SavedTable(Path(str(table)))
    examples = material.examples
    if not examples:
        raise UsageError(
            "static ranges are found on data and none was given; add --data, or take "
            "--method dynamic, which needs none"
        )
    return Calibrate(examples, split=material.split, progress=progress, **ranging)  # type: ignore[arg-type]  # checked above


def _check_unused(ranging: Mapping[str, object], taken: str, *, but: str) -> None:
    others = [key for key in ranging if key not in ("seed", but)]
    if others:
        raise UsageError(f"{others[0]} is not used with {taken}; leave one of them out")
