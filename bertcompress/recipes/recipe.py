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

from bertcompress.bench.settings import BenchSettings
from bertcompress.errors import UsageError, did_you_mean
from bertcompress.gates.gate import GateLimits
from bertcompress.passes.base import Pass
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.export.halve_precision import HalvePrecision
from bertcompress.passes.export.write_ort_format import WriteOrtFormat
from bertcompress.passes.prune.prune import Prune
from bertcompress.passes.prune.prune_ffn import PruneFfn
from bertcompress.passes.prune.prune_heads import PruneHeads
from bertcompress.passes.prune.prune_layers import PruneLayers
from bertcompress.passes.prune.prune_vocabulary import PruneVocabulary
from bertcompress.passes.prune.relayout import Relayout
from bertcompress.passes.quantize.blocks import WITHOUT_DATA
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_nncf import QuantizeNncf
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.passes.quantize.smooth_activations import SmoothActivations
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from bertcompress.progress import Progress, silent
from bertcompress.recipes.best_step import TIMING, quantize_best
from bertcompress.recipes.calibrated_steps import CALIBRATED, TABLE, calibrated, with_calibration
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.nncf_step import HELD_OUT, quantize_nncf
from bertcompress.recipes.resources import Material
from bertcompress.runtimes.tensorrt.library import machine_name
from bertcompress.search.fastest_int8 import QuantizeBest
from bertcompress.search.latency_table import MeasureLatency
from bertcompress.train.finetune import Finetune
from bertcompress.train.recover import Recover
from bertcompress.train.train_quantized import TrainQuantized
from bertcompress_calibration import Calibrate, DrawFeatures

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
    "smooth": SmoothActivations,
    "halve-precision": HalvePrecision,
    "quantize": QuantizeBest,
    "quantize-static": QuantizeStatic,
    "quantize-dynamic": QuantizeDynamic,
    "quantize-weights": QuantizeWeights,
    "quantize-nncf": QuantizeNncf,
    "quantize-tensorrt": QuantizeTensorrt,
    "ort-format": WriteOrtFormat,
    "build-engine": BuildEngine,
}
_FILLED_IN = (
    *("examples", "train", "validation", "calibrate", "latency", "trials"),
    *("state_folder", "progress", "draw", "split", "nncf", "machine"),
)


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
        named = ("smooth", "ort-format", "build-engine")
        return self.name in named or self.name.startswith(("quantize", "halve"))


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
    if STEPS[name] in CALIBRATED:
        allowed = {**_field_types(Calibrate), **allowed, TABLE: str | None}
    if STEPS[name] is QuantizeBest:
        timing = _field_types(MeasureLatency)
        allowed = {**{key: timing[key] for key in TIMING}, **_field_types(Calibrate), **allowed}
    if STEPS[name] is QuantizeNncf:
        allowed = {**_field_types(DrawFeatures), **allowed, HELD_OUT: int}
    if STEPS[name] is TrainQuantized:
        allowed = {**allowed, "method": str | None, TABLE: str | None}
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
    if kind in CALIBRATED:
        return calibrated(kind, settings, material, progress)
    if kind is QuantizeBest:
        return quantize_best(settings, material, progress)
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
        settings = with_calibration(settings, material, progress)
    if kind is BuildEngine:
        settings["machine"] = machine_name()
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
        quotes = f'; write "{value}"' if isinstance(value, int | float) else ""
        raise UsageError(f"{where} must be a text, got {value!r}{quotes}")
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
