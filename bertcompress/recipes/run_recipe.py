"""Runs a recipe: all variants through one store of finished steps, then the benchmark.

OUT/.steps/       finished steps, by what made them: shared by all variants, found again
OUT/<variant>/    each variant's artifact
OUT/report/       the report
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bertcompress.artifacts.artifact import Artifact, save
from bertcompress.artifacts.folder import check_writable
from bertcompress.artifacts.manifest import read_manifest, verify
from bertcompress.bench.variant import subject_of, variant_of
from bertcompress.errors import LoadError, UsageError
from bertcompress.inference.predictor import Predictor
from bertcompress.ownership import check_place, work_folder
from bertcompress.passes.base import AnyPass
from bertcompress.pipeline import WORK, Pipeline, PlannedStep, StepStore
from bertcompress.progress import Note, Progress, logged
from bertcompress.recipes.apply_steps import (
    check_passes,
    is_graph,
    starting_point,
    with_recipe,
)
from bertcompress.recipes.measure import measure, peer_source
from bertcompress.recipes.recipe import Recipe, with_exports
from bertcompress.recipes.recipe_file import RECIPE_NAME, variant_folder
from bertcompress.recipes.resources import RecipeContext, Splits
from bertcompress.report.schema import Report
from bertcompress.train.finetune import Finetune

STORE, REPORT = ".steps", "report"


@dataclass
class _Starts:
    """The loaded model: once as it is, and once with a new head if a variant trains one."""

    recipe: Recipe
    note: Note = logged
    loaded: dict[bool, tuple[Artifact, Splits]] = field(default_factory=dict)

    def of(self, passes: Sequence[AnyPass]) -> tuple[Artifact, Splits]:
        trains = bool(passes) and isinstance(passes[0], Finetune)
        if trains not in self.loaded:
            self.loaded[trains] = starting_point(self.recipe, passes, note=self.note)
        return self.loaded[trains]


def run_recipe(
    recipe: Recipe, *, command: str = "", note: Note = logged, progress: Progress
) -> Report | None:
    """Makes every variant and measures them; returns the report, None without a benchmark.

    Args:
        recipe: What to make.
        command: The line that repeats it, for the report.
        note: Is told what the user must know.
        progress: Progress callback.

    Raises:
        BertCompressError: As the steps and the benchmark do; what was finished is kept.
    """
    check_recipe(recipe)
    with work_folder(recipe.output / STORE):
        return _made(recipe, command=command, note=note, progress=progress)


def _made(recipe: Recipe, *, command: str, note: Note, progress: Progress) -> Report | None:
    starts, subject, variants = _Starts(recipe, note), None, []
    for name in recipe.variants:
        passes = passes_of(recipe, name)
        start, splits = starts.of(passes)
        folder = recipe.output / variant_folder(name)
        artifact = _make(recipe, name, start, splits, progress=progress)
        _save_if_changed(with_recipe(artifact, recipe, passes, folder), folder)
        if recipe.bench is None:
            continue
        opened = Predictor.open(folder, note=note)
        subject = subject or subject_of(opened, splits.test)
        variants.append(variant_of(name, opened, subject))
    if recipe.bench is None or subject is None:
        return None
    peers = None
    if recipe.bench.peers:
        _, splits = starts.of(())
        model = Predictor.open(recipe.model, task=recipe.task, note=note)
        peers = peer_source(model, splits, seed=recipe.seed)
    return measure(
        variants,
        subject,
        recipe.bench,
        recipe.output / REPORT,
        command=command,
        peers=peers,
        progress=progress,
    )


def plan(recipe: Recipe) -> dict[str, tuple[PlannedStep, ...]]:
    """Returns the steps of each variant, and which of them are finished."""
    check_recipe(recipe)
    starts, planned = _Starts(recipe), {}
    store = StepStore(recipe.output / STORE)
    for name in recipe.variants:
        passes = passes_of(recipe, name)
        start, splits = starts.of(passes)
        context = RecipeContext(splits)
        planned[name] = Pipeline(passes).plan(start, context, store=store) if passes else ()
    return planned


def passes_of(recipe: Recipe, name: str) -> tuple[AnyPass, ...]:
    """Returns all passes of a variant, exports included.

    A benchmark wants graphs only, so that all variants run in the same runtime.
    """
    return with_exports(
        (*recipe.base, *recipe.variants[name]),
        is_graph=is_graph(recipe.model),
        graph_wanted=recipe.bench is not None,
        seed=recipe.seed,
    )


def check_recipe(recipe: Recipe) -> None:
    """Fails at once where something can't be meant or is not installed."""
    from bertcompress.runtimes import check_runtime

    for name in recipe.variants:
        try:
            check_passes(recipe, passes_of(recipe, name))
        except UsageError as error:
            raise UsageError(f"{recipe.name}: variants.{name}: {error}") from error
    if recipe.bench is not None:
        check_runtime("ort-cpu")
        if recipe.data is None:
            raise UsageError(f"{recipe.name}: a benchmark needs data; add data:, or bench: false")
        if recipe.bench.peers:
            _check_peers(recipe)
    check_place(recipe.output)
    if recipe.output.resolve().is_relative_to(Path(recipe.model).resolve()):
        raise UsageError(
            f"{recipe.output} lies in the model's own folder, {recipe.model}; give another output"
        )
    for name in recipe.variants:
        check_writable(recipe.output / variant_folder(name), overwrite=True)


def _check_peers(recipe: Recipe) -> None:
    """Peers are made from the recipe's model, so that has to be what the variants start from."""
    if is_graph(recipe.model):
        raise UsageError(
            f"{recipe.name}: bench.peers needs a checkpoint to make them from, and {recipe.model} "
            "holds a graph"
        )
    if any(isinstance(pass_, Finetune) for pass_ in recipe.base):
        raise UsageError(
            f"{recipe.name}: bench.peers needs a model that is fine-tuned already, and base trains "
            "it; run the training first, then give its folder as model"
        )


def _make(
    recipe: Recipe, name: str, start: Artifact, splits: Splits, *, progress: Progress
) -> Artifact:
    passes, state = passes_of(recipe, name), recipe.output / STORE
    if not passes:
        return start

    def told(stage: str, done: int, total: int) -> None:
        progress(f"{name} · {stage}", done, total)

    context = RecipeContext(splits, state=state, progress=told)
    result = Pipeline(passes).run(start, context, store=StepStore(state))
    for work in state.glob(f"{WORK}*"):
        shutil.rmtree(work, ignore_errors=True)
    return result


def _save_if_changed(artifact: Artifact, folder: Path) -> None:
    """Saves, unless the same is there: the benchmark knows its finished parts by the files."""
    try:
        manifest = read_manifest(folder) if folder.is_dir() else None
        if manifest is not None and manifest.history == artifact.history:
            verify(folder, manifest)
            if (folder / RECIPE_NAME).read_bytes() == artifact.side_files[RECIPE_NAME]:
                return
    except (LoadError, OSError):
        pass  # damaged or another's: made again
    save(artifact, folder, overwrite=True)


def with_output(recipe: Recipe, out: Path | None) -> Recipe:
    """Returns the recipe with another output folder, if one was typed."""
    return recipe if out is None else replace(recipe, output=out)
