"""Reads how a Sentence Transformers folder pools token vectors into one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bertcompress.errors import LoadError

Pooling = Literal["mean", "cls"]
POOLINGS: tuple[Pooling, ...] = ("mean", "cls")

_KEYS: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
}


@dataclass(frozen=True)
class PoolingSettings:
    """The pooling, and whether vectors are normalized after it."""

    pooling: Pooling = "mean"
    normalize: bool = False


def read_pooling(folder: Path) -> PoolingSettings:
    """Returns what ``1_Pooling/config.json`` and ``modules.json`` say; mean where they are absent.

    Raises:
        LoadError: A file can't be read, or asks for another pooling than mean or cls.
    """
    return PoolingSettings(_pooling(folder / "1_Pooling" / "config.json"), _normalizes(folder))


def _pooling(path: Path) -> Pooling:
    if not path.exists():
        return "mean"
    content = _json(path)
    if not isinstance(content, Mapping):
        raise LoadError(f"{path} must hold a JSON object; restore it from the original model")
    modes = [
        key for key, value in content.items() if key.startswith("pooling_mode_") and value is True
    ]
    named = content.get("pooling_mode")
    if named is not None:
        modes = [str(named)]
    known = {**_KEYS, "mean": "mean", "cls": "cls"}
    if len(modes) == 1 and modes[0] in known:
        return "cls" if known[modes[0]] == "cls" else "mean"
    raise LoadError(
        f"{path} asks for {', '.join(modes) or 'no pooling'}; only mean and cls are known: "
        "choose a model that pools by one of these"
    )


def _normalizes(folder: Path) -> bool:
    path = folder / "modules.json"
    if not path.exists():
        return False
    modules = _json(path)
    if not isinstance(modules, list):
        raise LoadError(f"{path} must hold a JSON list; restore it from the original model")
    types = [str(module.get("type", "")) for module in modules if isinstance(module, Mapping)]
    return any(name.rpartition(".")[2] == "Normalize" for name in types)


def _json(path: Path) -> object:
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LoadError(
            f"{path} can't be read: {error}; restore it from the original model"
        ) from error
    return content
