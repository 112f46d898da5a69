"""Recipes as YAML: read with every key checked, written so that they read back.

Relative paths in a recipe start at the recipe's own folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from bertcompress.bench.settings import BenchSettings
from bertcompress.codec import decode
from bertcompress.errors import DataError, UsageError, did_you_mean
from bertcompress.gates.gate import GateLimits
from bertcompress.passes.base import AnyPass
from bertcompress.reading import read_yaml, reason
from bertcompress.recipes.data_source import portable, resolved, source_from_plain
from bertcompress.recipes.recipe import Recipe
from bertcompress.recipes.step_settings import changed_settings, plain_step, read_step

RECIPE_NAME = "recipe.yaml"
_KEYS = ("model", "task", "data", "seed", "base", "variants", "bench", "gate", "output")


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
        plain["base"] = _plain_steps(recipe.base, recipe, folder)
    plain["variants"] = {
        name: _plain_steps(passes, recipe, folder) for name, passes in recipe.variants.items()
    }
    plain["bench"] = False
    if recipe.bench is not None:
        plain["bench"] = changed_settings(recipe.bench, folder=folder) or True
    if recipe.gate is not None:
        plain["gate"] = changed_settings(recipe.gate, folder=folder)
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
        return read_yaml(path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"can't read the recipe {path}: {reason(error)}") from error
    except ValueError as error:
        raise DataError(f"{path} is not YAML: {error}") from error


def _recipe_of(plain: object, path: Path) -> Recipe:
    if not isinstance(plain, Mapping):
        raise UsageError(f"a recipe is a mapping with the keys {', '.join(_KEYS)}")
    _check_keys(plain)
    folder = path.parent
    model = plain.get("model")
    if not isinstance(model, str) or not model:
        raise UsageError(f"model must be a folder or a hub name, got {model!r}")
    task, seed = plain.get("task"), decode(int, plain.get("seed", 0), "seed")
    data, output = plain.get("data"), plain.get("output")
    name = f"{path.stem}-out" if output is None else decode(str, output, "output")
    gate = plain.get("gate")
    return Recipe(
        name=str(path),
        model=resolved(model, folder),
        task=None if task is None else decode(str, task, "task"),
        data=None if data is None else source_from_plain(data, folder, "data"),
        seed=seed,
        base=_passes(plain.get("base") or [], "base", seed, folder),
        variants=_variants(plain.get("variants"), seed, folder),
        bench=_bench(plain.get("bench", True)),
        gate=decode(GateLimits, gate, "gate") if gate else None,
        output=_place(name, folder),
    )


def _variants(plain: object, seed: int, folder: Path) -> dict[str, tuple[AnyPass, ...]]:
    if not isinstance(plain, Mapping) or not plain:
        raise UsageError("variants must be a mapping name: [steps], with at least one name")
    variants: dict[str, tuple[AnyPass, ...]] = {}
    folders: dict[str, str] = {}
    for name, steps in plain.items():
        place = variant_folder(str(name))
        if not place:
            raise UsageError(f"variants.{name}: the name needs a letter or a digit")
        if place in folders:
            raise UsageError(f"variants {folders[place]!r} and {name!r} would share one folder")
        folders[place] = str(name)
        variants[str(name)] = _passes(steps or [], f"variants.{name}", seed, folder)
    return variants


def _passes(plain: object, where: str, seed: int, folder: Path) -> tuple[AnyPass, ...]:
    if not isinstance(plain, Sequence) or isinstance(plain, str):
        raise UsageError(f"{where} must be a list of steps, got {plain!r}")
    return tuple(
        _pass(step, f"{where}[{number}]", seed, folder) for number, step in enumerate(plain)
    )


def _pass(plain: object, where: str, seed: int, folder: Path) -> AnyPass:
    if isinstance(plain, str):
        plain = {plain: {}}
    if not isinstance(plain, Mapping) or len(plain) != 1:
        raise UsageError(f"{where} must be one step, such as prune: {{heads: 0.3}}")
    [(name, settings)] = plain.items()
    settings = {} if settings is None else settings
    if not isinstance(settings, Mapping):
        raise UsageError(f"{where}.{name} must be a mapping of settings, got {settings!r}")
    try:
        return read_step(str(name), settings, seed=seed, folder=folder)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _plain_steps(
    passes: Sequence[AnyPass], recipe: Recipe, folder: Path
) -> list[dict[str, object]]:
    return [plain_step(pass_, seed=recipe.seed, folder=folder) for pass_ in passes]


def _bench(plain: object) -> BenchSettings | None:
    if plain is False:
        return None
    return BenchSettings() if plain is True else decode(BenchSettings, plain, "bench")


def _check_keys(plain: Mapping[object, object]) -> None:
    for key in plain:
        if key not in _KEYS:
            near = did_you_mean(str(key), _KEYS) or f"; it has {', '.join(_KEYS)}"
            raise UsageError(f"the recipe has no key {key!r}{near}")


def _place(name: str, folder: Path) -> Path:
    path = Path(name).expanduser()
    return path if path.is_absolute() else Path(_relative(folder / path, Path()))


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder)
