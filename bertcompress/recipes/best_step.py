"""The step that finds the fastest INT8: its calibration, its timing and its texts held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec
from typing import cast

from bertcompress.errors import UsageError
from bertcompress.examples import Example
from bertcompress.passes.quantize.quantize_nncf import QuantizeNncf
from bertcompress.progress import Progress
from bertcompress.recipes.resources import Material
from bertcompress.search.fastest_int8 import QuantizeBest
from bertcompress.search.latency_table import MeasureLatency
from bertcompress.search.trials import QuantizationTrials
from bertcompress_calibration import Calibrate, DrawFeatures

TIMING = ("length", "threads", "sentences", "rounds")
"""How the ways of quantizing are timed."""


def quantize_best(
    settings: Mapping[str, object], material: Material, progress: Progress
) -> QuantizeBest:
    """Returns the pass, with what times and judges on this machine.

    Raises:
        UsageError: There is no data, or nothing to hold out.
    """
    own = {one.name for one in fields(QuantizeBest)}
    timing = {key: value for key, value in settings.items() if key in TIMING}
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
    seed = cast("int", settings["seed"])
    latency = MeasureLatency(held_out or examples, **timing, seed=seed)  # type: ignore[arg-type]  # checked above
    return QuantizeBest(
        calibrate=Calibrate(examples, split=material.split, progress=progress, **ranging),  # type: ignore[arg-type]  # checked above
        trials=QuantizationTrials(held_out, latency, seed=seed),
        nncf=_nncf(settings, examples) if find_spec("nncf") else None,
        **{key: value for key, value in settings.items() if key in own},  # type: ignore[arg-type]  # checked above
    )


def _nncf(settings: Mapping[str, object], examples: tuple[Example, ...]) -> QuantizeNncf:
    """Returns the way of NNCF, calibrated on as many of the same examples."""
    drawn = {key: value for key, value in settings.items() if key in ("samples", "max_length")}
    seed = cast("int", settings["seed"])
    own = {key: settings[key] for key in ("embeddings", "keep_float") if key in settings}
    return QuantizeNncf(DrawFeatures(examples, seed=seed, **drawn), seed=seed, **own)  # type: ignore[arg-type]  # checked by the recipe
