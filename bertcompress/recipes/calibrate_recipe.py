"""A calibration that is kept in a file: what the command ``calibrate`` does."""

from __future__ import annotations

from dataclasses import dataclass

from bertcompress.artifacts.artifact import Artifact, Checkpoint, Engine, OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.bert.loading.load import load
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.ranges import Ranges
from bertcompress.progress import Note, Progress, logged, silent
from bertcompress.recipes.recipe import Recipe
from bertcompress.recipes.resources import RecipeContext, splits_for
from bertcompress_calibration import RANDOM, calibrate_over_seeds, calibrate_ranges, random_texts


@dataclass(frozen=True)
class CalibrateOptions:
    """What is asked of a calibration.

    Attributes:
        ranges: How ranges are found.
        seeds: How often samples are drawn, to say how far the ranges move; None draws once.
        random: Whether texts of random words are taken, and no data.
        attention: Whether query, key and value are watched too, for TensorRT.
    """

    ranges: Ranges
    seeds: int | None = None
    random: bool = False
    attention: bool = False


def calibration_of(
    recipe: Recipe,
    asked: CalibrateOptions,
    *,
    note: Note = logged,
    progress: Progress = silent,
) -> CalibrationTable:
    """Finds the ranges of a recipe's model on its data.

    Args:
        recipe: Names model, data, task and seed.
        asked: What is asked.
        note: Is told what the user must know.
        progress: Progress callback.

    Raises:
        UsageError: If there is no such method.
        CalibrationError: If no range can be found.
    """
    artifact = load(recipe.model, task=recipe.task, note=note)
    context = _context(artifact, recipe, asked, note, progress)
    graph = _graph_of(artifact, recipe, context, note)
    if asked.seeds is None:
        return calibrate_ranges(
            graph, asked.ranges, context, seed=recipe.seed, attention=asked.attention
        )
    return calibrate_over_seeds(
        graph,
        asked.ranges,
        context,
        seed=recipe.seed,
        seeds=asked.seeds,
        attention=asked.attention,
    )


def _context(
    artifact: Artifact,
    recipe: Recipe,
    asked: CalibrateOptions,
    note: Note,
    progress: Progress,
) -> Context:
    """Returns a context with training examples, or texts of random words if asked for by name."""
    if not asked.random:
        splits = splits_for(artifact, recipe.data, seed=recipe.seed, note=note)
        return RecipeContext(splits, progress=progress)
    note("the texts are random words: the ranges are for trying things out, not for use")
    count = asked.ranges.samples * (asked.seeds or 1)
    texts = random_texts(artifact, count, seed=recipe.seed)
    return Context(texts, split=RANDOM, progress=progress)


def _graph_of(artifact: Artifact, recipe: Recipe, context: Context, note: Note) -> OnnxModel:
    if isinstance(artifact, Checkpoint):
        note(f"{recipe.model} is a checkpoint: it is exported to ONNX first")
        return ExportOnnx(seed=recipe.seed)(artifact, context)
    return artifact.source if isinstance(artifact, Engine) else artifact
