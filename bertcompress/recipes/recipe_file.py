"""Recipes as YAML: read with every key checked, written so that they read back.

Relative paths in a recipe start at the recipe's own folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TypeVar, get_type_hints

import yaml

from bertcompress.bench.settings import BenchSettings
from bertcompress.errors import DataError, UsageError, did_you_mean
from bertcompress.gates.gate import GateLimits
from bertcompress.recipes.data_source import portable, resolved, source_from_plain
from bertcompress.recipes.recipe import Recipe, StepSpec, checked

RECIPE_NAME = "recipe.yaml"
_KEYS = ("model", "task", "data", "seed", "base", "variants", "bench", "gate", "output")
_PATHS = {"quantize-static": "table", "build-engine": "timing_cache"}
"""Settings of steps that are paths."""

_Settings = TypeVar("_Settings", BenchSettings, GateLimits)


def read_recipe(path: Path) -> Recipe:
    """Reads a recipe.

    Raises:
        DataError: The file can't be read or is not YAML.
        UsageError: A key or a value can't be meant; the message says where it stands.
    """
    if path.is_dir():
        path /= RECIPE_NAME
    plain = _read_yaml(path)
    try:
        return _recipe_of(plain, path)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def recipe_text(recipe: Recipe, folder: Path) -> str:
    """Returns the YAML of a recipe that will lie in `folder`."""
    from bertcompress import __version__

    plain: dict[str, object] = {"model": portable(recipe.model, folder)}
    if recipe.task is not None:
        plain["task"] = recipe.task
    if recipe.data is not None:
        plain["data"] = recipe.data.to_plain(folder)
    plain["seed"] = recipe.seed
    if recipe.base:
        plain["base"] = [_plain_step(step, folder) for step in recipe.base]
    plain["variants"] = {
        name: [_plain_step(step, folder) for step in steps]
        for name, steps in recipe.variants.items()
    }
    plain["bench"] = False
    if recipe.bench is not None:
        plain["bench"] = _changed(recipe.bench, BenchSettings()) or True
    if recipe.gate is not None:
        plain["gate"] = _changed(recipe.gate, GateLimits())
    plain["output"] = (
        str(recipe.output) if recipe.output.is_absolute() else _relative(recipe.output, folder)
    )
    head = f"# Made by bertcompress {__version__}; repeat it with: bertcompress run {RECIPE_NAME}\n"
    return head + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)


def variant_folder(name: str) -> str:
    """Returns the folder's name of a variant: ``pruned + INT8`` lies in ``pruned-int8``."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _read_yaml(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"can't read the recipe {path}: {reason}") from error
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{path} is not YAML: {problem}") from error


def _recipe_of(plain: object, path: Path) -> Recipe:
    if not isinstance(plain, Mapping):
        raise UsageError(f"a recipe is a mapping with the keys {', '.join(_KEYS)}")
    _check_keys(plain, _KEYS, "the recipe")
    folder = path.parent
    model = plain.get("model")
    if not isinstance(model, str) or not model:
        raise UsageError(f"model must be a folder or a hub name, got {model!r}")
    data, output = plain.get("data"), plain.get("output")
    output_name = f"{path.stem}-out" if output is None else checked(output, str, "output")
    return Recipe(
        name=str(path),
        model=resolved(model, folder),
        task=_optional_text(plain.get("task"), "task"),
        data=None if data is None else source_from_plain(data, folder, "data"),
        seed=_whole(plain.get("seed", 0), "seed"),
        base=_steps(plain.get("base") or [], "base", folder),
        variants=_variants(plain.get("variants"), folder),
        bench=_bench(plain.get("bench", True)),
        gate=_settings(plain["gate"], GateLimits, "gate") if plain.get("gate") else None,
        output=_place(str(output_name), folder),
    )


def _variants(plain: object, folder: Path) -> dict[str, tuple[StepSpec, ...]]:
    if not isinstance(plain, Mapping) or not plain:
        raise UsageError("variants must be a mapping name: [steps], with at least one name")
    made: dict[str, tuple[StepSpec, ...]] = {}
    folders: dict[str, str] = {}
    for name, steps in plain.items():
        place = variant_folder(str(name))
        if not place:
            raise UsageError(f"variants.{name}: the name needs a letter or a digit")
        if place in folders:
            raise UsageError(f"variants {folders[place]!r} and {name!r} would share one folder")
        folders[place] = str(name)
        made[str(name)] = _steps(steps or [], f"variants.{name}", folder)
    return made


def _steps(plain: object, where: str, folder: Path) -> tuple[StepSpec, ...]:
    if not isinstance(plain, Sequence) or isinstance(plain, str):
        raise UsageError(f"{where} must be a list of steps, got {plain!r}")
    return tuple(_step(one, f"{where}[{at}]", folder) for at, one in enumerate(plain))


def _step(plain: object, where: str, folder: Path) -> StepSpec:
    if isinstance(plain, str):
        plain = {plain: {}}
    if not isinstance(plain, Mapping) or len(plain) != 1:
        raise UsageError(f"{where} must be one step, such as prune: {{heads: 0.3}}")
    [(name, settings)] = plain.items()
    settings = {} if settings is None else settings
    if not isinstance(settings, Mapping):
        raise UsageError(f"{where}.{name} must be a mapping of settings, got {settings!r}")
    try:
        step = StepSpec(str(name), dict(settings))
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    key = _PATHS.get(step.name)
    if key is not None and isinstance(step.settings.get(key), str):
        path = resolved(str(step.settings[key]), folder)
        return StepSpec(step.name, {**step.settings, key: path})
    return step


def _bench(plain: object) -> BenchSettings | None:
    if plain is False:
        return None
    return BenchSettings() if plain is True else _settings(plain, BenchSettings, "bench")


def _settings(plain: object, kind: type[_Settings], where: str) -> _Settings:
    hints = get_type_hints(kind)
    if not isinstance(plain, Mapping):
        raise UsageError(f"{where} must be a mapping with {', '.join(hints)}, got {plain!r}")
    _check_keys(plain, tuple(hints), where)
    typed = {key: checked(value, hints[key], f"{where}.{key}") for key, value in plain.items()}
    return kind(**typed)  # type: ignore[arg-type]  # each was checked against its field's type


def _check_keys(plain: Mapping[object, object], allowed: Sequence[str], where: str) -> None:
    for key in plain:
        if key not in allowed:
            near = did_you_mean(str(key), allowed) or f"; it has {', '.join(allowed)}"
            raise UsageError(f"{where} has no key {key!r}{near}")


def _plain_step(step: StepSpec, folder: Path) -> dict[str, object]:
    key = _PATHS.get(step.name)
    settings = {
        name: portable(str(value), folder) if name == key else _plain_value(value)
        for name, value in step.settings.items()
    }
    return {step.name: settings}


def _plain_value(value: object) -> object:
    return [_plain_value(one) for one in value] if isinstance(value, tuple) else value


def _changed(settings: BenchSettings | GateLimits, default: object) -> dict[str, object]:
    """Returns the fields that differ from the defaults."""
    return {
        one.name: _plain_value(getattr(settings, one.name))
        for one in fields(settings)
        if getattr(settings, one.name) != getattr(default, one.name)
    }


def _place(name: str, folder: Path) -> Path:
    path = Path(name).expanduser()
    return path if path.is_absolute() else Path(_relative(folder / path, Path()))


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder)


def _optional_text(value: object, where: str) -> str | None:
    return None if value is None else str(checked(value, str, where))


def _whole(value: object, where: str) -> int:
    number = checked(value, int, where)
    assert isinstance(number, int)
    return number
