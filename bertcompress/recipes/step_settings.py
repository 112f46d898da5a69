"""One step of a recipe's file: a name and settings on one side, a pass on the other.

This is the only place that knows passes by name: a recipe's file says ``prune-heads``, and `STEPS`
says which class that is. A step's settings are the class's fields.

A group of settings inside a pass (`Ranges`, `Timing`) stands flat in the file, among the pass's
own: ``quantize-static: {method: minmax, keep_float: [classifier]}``. Paths start at the recipe's
folder, and a step that names no seed has the recipe's.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bertcompress.codec import decode, to_plain
from bertcompress.errors import UsageError, did_you_mean
from bertcompress.passes.base import AnyPass
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.export.halve_precision import HalvePrecision
from bertcompress.passes.export.write_ort_format import WriteOrtFormat
from bertcompress.passes.prune.prune import Prune
from bertcompress.passes.prune.prune_layers import PruneLayers
from bertcompress.passes.prune.prune_units import PruneFfn, PruneHeads
from bertcompress.passes.prune.prune_vocabulary import PruneVocabulary
from bertcompress.passes.prune.relayout import Relayout
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_nncf import QuantizeNncf
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.passes.quantize.smooth_activations import SmoothActivations
from bertcompress.passes.settings import PATH
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from bertcompress.recipes.data_source import portable, resolved
from bertcompress.recipes.prune_recipe import check_goal
from bertcompress.search.fastest_int8 import QuantizeBest
from bertcompress.search.prune_to_target import PruneToTarget
from bertcompress.train.distill_checkpoint import Recover
from bertcompress.train.finetune import Finetune
from bertcompress.train.train_quantized import TrainQuantized

STEPS: Mapping[str, type[AnyPass]] = {
    "finetune": Finetune,
    "prune": Prune,
    "prune-to-target": PruneToTarget,
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

_SEED = "seed"
_GONE: Mapping[str, tuple[str, ...]] = {
    "smooth": ("threads", "attention"),
    "quantize": ("attention",),
    "quantize-static": ("threads", "attention"),
    "quantize-tensorrt": ("threads",),
}
"""Settings of version 0.1.0 that changed nothing about the result; they are passed over."""


def read_step(name: str, settings: Mapping[str, object], *, seed: int, folder: Path) -> AnyPass:
    """Makes the pass that a step stands for.

    Args:
        name: A name from `STEPS`.
        settings: What the file says of it, as YAML values.
        seed: The recipe's.
        folder: The recipe's, where paths start.

    Raises:
        UsageError: There is no such step or setting, or a value can't be meant.
    """
    if name not in STEPS:
        near = did_you_mean(name, STEPS) or "; the steps are " + ", ".join(STEPS)
        raise UsageError(f"there is no step {name!r}{near}")
    kind: type[AnyPass] = STEPS[name]
    known = [*_names(kind)]
    if kind is Prune:
        kind = _pruning(settings)
        known += [key for key in _names(PruneToTarget) if key not in known]
    for key in settings:
        if key not in (*known, *_GONE.get(name, ())):
            near = did_you_mean(str(key), known) or "; it has " + ", ".join(known)
            raise UsageError(f"{name} has no setting {key!r}{near}")
    plain = _resolved({_SEED: seed, **settings}, kind, folder)
    groups: dict[str, object] = {
        group: decode(part, _chosen(plain, _names(part)), name, key_word="setting")
        for group, part in _groups(kind).items()
    }
    return decode(kind, {**_chosen(plain, _fields(kind)), **groups}, name, key_word="setting")


def plain_step(pass_: AnyPass, *, seed: int, folder: Path) -> dict[str, object]:
    """Returns a step as `read_step` reads it, with the settings that differ from the defaults."""
    [name] = [name for name, kind in STEPS.items() if kind is type(pass_)]
    return {name: changed_settings(pass_, seed=seed, folder=folder)}


def changed_settings(settings: object, *, seed: int = 0, folder: Path) -> dict[str, object]:
    """Returns the fields of a dataclass of settings that differ from their defaults.

    Args:
        settings: The dataclass.
        seed: The default of a field of that name.
        folder: Where paths start.
    """
    if not is_dataclass(settings):
        raise TypeError(f"settings are a dataclass, got {type(settings).__name__}")
    plain: dict[str, object] = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            plain |= changed_settings(value, folder=folder)
        elif value != (seed if field.name == _SEED else _default(field)):
            is_path = field.metadata == PATH and value is not None
            plain[field.name] = portable(value, folder) if is_path else to_plain(value)
    return plain


def _pruning(settings: Mapping[str, object]) -> type[AnyPass]:
    """Returns the class of ``prune``: with a target it is the search that keeps it."""
    targets = [key for key in settings if key.startswith("target_")]
    timing = [key for key in _names(PruneToTarget) if key in settings and key not in _names(Prune)]
    check_goal(
        fractions=any(settings.get(key) for key in ("heads", "ffn")),
        targets=targets,
        timing=[key for key in timing if key not in (*targets, "reference")],
    )
    return PruneToTarget if targets else Prune


@cache
def _groups(kind: type) -> Mapping[str, type]:
    """Returns the fields that are groups of settings, with their dataclasses."""
    hints: dict[str, type] = typing.get_type_hints(kind)
    return {name: hints[name] for name in _fields(kind) if is_dataclass(hints[name])}


@cache
def _names(kind: type) -> tuple[str, ...]:
    """Returns the settings that a step has in a file."""
    groups, names = _groups(kind), list[str]()
    for name in _fields(kind):
        names += _names(groups[name]) if name in groups else [name]
    return tuple(names)


def _fields(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _chosen(plain: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    return {name: plain[name] for name in names if name in plain}


def _resolved(plain: Mapping[str, object], kind: type, folder: Path) -> dict[str, object]:
    """Returns the settings with paths as seen from here."""
    parts = (kind, *_groups(kind).values())
    paths = {field.name for part in parts for field in fields(part) if field.metadata == PATH}
    return {
        key: resolved(value, folder) if key in paths and isinstance(value, str) else value
        for key, value in plain.items()
    }


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()
