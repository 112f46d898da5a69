"""Model and passes in, artifact folder out: what every verb that makes an artifact does.

The artifact carries the recipe that repeats it. While several passes are at work, finished steps
and the Trainer's checkpoints are kept in a hidden folder beside the output, so that the same
command goes on after an interruption; it is removed when the work is done or has failed, unless
nobody foresaw how.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bertcompress.artifacts.artifact import Artifact, Engine, save
from bertcompress.artifacts.folder import check_writable
from bertcompress.artifacts.manifest import kind_of
from bertcompress.bert.loading.load import load
from bertcompress.errors import (
    AccuracyGateError,
    BertCompressError,
    SpeedGateError,
    UnexpectedPassError,
    UsageError,
)
from bertcompress.ownership import forget, work_folder
from bertcompress.passes.base import AnyPass
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.smooth_activations import SmoothActivations
from bertcompress.passes.ranges import TRAINED, Ranges
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from bertcompress.pipeline import Pipeline, StepStore
from bertcompress.progress import Note, Progress, logged, silent
from bertcompress.recipes.new_head import start_of_training
from bertcompress.recipes.recipe import Recipe, with_exports
from bertcompress.recipes.recipe_file import RECIPE_NAME, recipe_text
from bertcompress.recipes.resources import RecipeContext, Splits, splits_for
from bertcompress.search.fastest_int8 import QuantizeBest
from bertcompress.search.prune_to_target import PruneToTarget
from bertcompress.train.distill_checkpoint import Recover
from bertcompress.train.finetune import Finetune
from bertcompress.train.train_quantized import TrainQuantized
from bertcompress_calibration import check_ranges


def make_artifact(
    recipe: Recipe,
    out: Path | None = None,
    *,
    overwrite: bool = False,
    remark: str | None = None,
    note: Note = logged,
    progress: Progress = silent,
) -> Artifact:
    """Runs a recipe's first variant and saves it.

    Args:
        recipe: What to do.
        out: The artifact folder; None saves nothing.
        overwrite: Whether an artifact that is there may be replaced.
        remark: What the user must know, said once the settings are found to be right.
        note: Is told it, and the like.
        progress: Progress callback.

    Raises:
        BertCompressError: As the passes do; nothing is written then.
    """
    asked = (*recipe.base, *next(iter(recipe.variants.values())))
    passes = with_exports(
        asked, is_graph=is_graph(recipe.model), graph_wanted=False, seed=recipe.seed
    )
    check_passes(recipe, passes)
    if remark is not None:
        note(remark)
    if out is None:
        return _applied(recipe, asked, passes, None, note=note, progress=progress)
    check_writable(out, overwrite=overwrite)
    out = out if out.name else out.resolve()  # "." has no name
    with work_folder(out.with_name(f".{out.name}.state")) as state:
        try:
            result = _applied(recipe, asked, passes, state, note=note, progress=progress)
            save(with_recipe(result, recipe, passes, out), out, overwrite=overwrite)
        except UnexpectedPassError:
            raise  # finished steps are kept: the same command goes on once the cause is gone
        except BertCompressError:
            forget(state)
            raise
        forget(state)
    return result


def _applied(
    recipe: Recipe,
    asked: Sequence[AnyPass],
    passes: Sequence[AnyPass],
    state: Path | None,
    *,
    note: Note,
    progress: Progress,
) -> Artifact:
    artifact, splits = starting_point(recipe, passes, note=note)
    if len(passes) > len(asked):
        note(f"{recipe.model} is a checkpoint: it is exported to ONNX first")
    context = RecipeContext(splits, state=state, progress=progress, note=note)
    store = StepStore(state / "steps") if state is not None and len(passes) > 1 else None
    return Pipeline(passes).run(artifact, context, store=store)


def refuse_rejected(artifact: Artifact, folder: Path) -> None:
    """Fails if an artifact does not keep what was asked of it; the folder stays.

    Raises:
        AccuracyGateError: It lost more than allowed.
        SpeedGateError: It is slower than asked.
    """
    for step in artifact.history:
        if step.rejected is not None:
            kind = SpeedGateError if step.rejected_for == "speed" else AccuracyGateError
            raise kind(f"{step.rejected}; the attempt is kept in {folder}, marked rejected")


def is_graph(model: str) -> bool:
    """Says whether a model is an exported graph already."""
    return Path(model).is_dir() and kind_of(Path(model)) != "checkpoint"


def check_passes(recipe: Recipe, passes: Sequence[AnyPass]) -> None:
    """Fails where the order or what the passes need can't be meant, before anything is loaded."""
    if passes:
        Pipeline(passes)
    context = RecipeContext(Splits(recipe.data, task=recipe.task or ""))
    for number, pass_ in enumerate(passes):
        pass_.check(context)
        _check_method(pass_)
        setting = _of_the_original(pass_)
        if setting is not None and any(isinstance(it, Finetune) for it in passes[:number]):
            raise UsageError(
                f"{recipe.name}: this compares with the model before pruning, and an earlier step "
                f"trains it; name its folder as {setting}"
            )


def starting_point(
    recipe: Recipe, passes: Sequence[AnyPass], *, note: Note = logged
) -> tuple[Artifact, Splits]:
    """Loads the model, with a new head where the first pass trains one, and finds its data.

    Raises:
        LoadError: The model can't be loaded.
        UsageError: It is not said what to fine-tune for.
        DataError: The training data can't be read.
    """
    if passes and isinstance(passes[0], Finetune):
        if is_graph(recipe.model):
            raise UsageError(f"{recipe.model} is a graph; fine-tuning needs the checkpoint")
        return start_of_training(recipe, note)
    artifact = load(recipe.model, task=recipe.task, note=note)
    if passes and isinstance(artifact, Engine):
        note(f"{recipe.model} holds an engine: this begins at the graph that it was made from")
        artifact = artifact.source
    return artifact, splits_for(artifact, recipe.data, seed=recipe.seed, note=note)


def with_recipe(
    artifact: Artifact, recipe: Recipe, passes: Sequence[AnyPass], out: Path
) -> Artifact:
    """Returns the artifact with the recipe that repeats it among its files."""
    again = replace(
        recipe,
        base=(),
        variants={out.name.lstrip("0123456789-") or "again": tuple(passes)},
        bench=None,
        gate=None,
        output=out.with_name(f"{out.name}-again"),
    )
    text = recipe_text(again, out).encode()
    return replace(artifact, side_files={**artifact.side_files, RECIPE_NAME: text})


def _check_method(pass_: AnyPass) -> None:
    """Fails with a UsageError if there is no such way to find ranges."""
    if isinstance(pass_, TrainQuantized):
        check_ranges(Ranges(pass_.method))
    if isinstance(pass_, SmoothActivations | QuantizeTensorrt | QuantizeBest):
        check_ranges(pass_.ranges)
    if isinstance(pass_, QuantizeStatic) and pass_.ranges.method != TRAINED:
        check_ranges(pass_.ranges)


def _of_the_original(pass_: AnyPass) -> str | None:
    """Returns the setting that names the model before pruning, where the pass leaves it open."""
    if isinstance(pass_, Recover) and not pass_.teacher:
        return "recover.teacher"
    if isinstance(pass_, TrainQuantized) and not pass_.teacher:
        return "train-quantized.teacher"
    if isinstance(pass_, PruneToTarget) and pass_.reference == "":
        return "prune.reference"
    return None
