"""The step ``quantize-nncf``: which examples it calibrates on, and which it holds out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from bertcompress.data import sample
from bertcompress.errors import UsageError
from bertcompress.passes.quantize.quantize_nncf import QuantizeNncf
from bertcompress.recipes.resources import Material
from bertcompress_calibration import DrawFeatures

HELD_OUT = "held_out"
"""In a recipe the number of examples that ``max_drop`` is measured on."""

_MANY = 500


def quantize_nncf(settings: Mapping[str, object], material: Material) -> QuantizeNncf:
    """Returns the pass, with examples for it.

    With ``max_drop``, labelled training examples are held out to measure it on (500, or as many as
    ``held_out`` says, but never more than half), and the others are calibrated on.

    Raises:
        UsageError: If there is no data, or a setting can't be meant.
    """
    own = {one.name for one in fields(QuantizeNncf)} - {HELD_OUT}
    quantizing: dict[str, Any] = {key: value for key, value in settings.items() if key in own}
    drawing: dict[str, Any] = {
        key: value
        for key, value in settings.items()
        if key != HELD_OUT and (key not in own or key == "seed")
    }
    if not material.examples:
        raise UsageError("NNCF finds its ranges on data and none was given; add --data")
    if settings.get("max_drop") is None:
        if HELD_OUT in settings:
            raise UsageError("held_out is what max_drop is measured on; add max_drop")
        return QuantizeNncf(DrawFeatures(material.examples, **drawing), **quantizing)
    count: Any = settings.get(HELD_OUT, _MANY)
    labelled = material.train
    held_out = sample(labelled, max(1, min(count, len(labelled) // 2)), seed=drawing["seed"])
    if count < 1 or len(labelled) < 2:
        raise UsageError(
            f"held_out must be 1 or more of at least 2 labelled training examples, got {count} of "
            f"{len(labelled)}"
        )
    held = {example.id for example in held_out}
    others = tuple(example for example in labelled if example.id not in held)
    return QuantizeNncf(DrawFeatures(others, **drawing), held_out=held_out, **quantizing)
