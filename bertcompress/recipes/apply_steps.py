"""Model and steps in, artifact folder out: what every verb that makes an artifact does.

The artifact carries the recipe that repeats it. While several steps are at work, finished ones
and the Trainer's checkpoints are kept in a hidden folder beside the output, so that the same
command goes on after an interruption; it is removed when the work is done or has failed, unless
nobody foresaw how.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.artifacts.artifact import Artifact, Engine, save
from bertcompress.artifacts.manifest import kind_of
from bertcompress.bert.loading.frontend import load_config
from bertcompress.bert.loading.load import load, load_encoder
from bertcompress.errors import BertCompressError, LoadError, UnexpectedPassError, UsageError
from bertcompress.examples import Example, TextExample, TokenExample
from bertcompress.passes.base import Pass, settings_of
from bertcompress.passes.prune.prune import Prune
from bertcompress.pipeline import Pipeline, StepStore
from bertcompress.progress import Progress, silent
from bertcompress.recipes.recipe import Recipe, StepSpec, make_pass, with_exports
from bertcompress.recipes.recipe_file import RECIPE_NAME, recipe_text
from bertcompress.recipes.resources import Material, StandIn
from bertcompress.tasks import labels_of, make_task, task_of
from bertcompress.train.finetune import Finetune
from bertcompress.train.recover import Recover
from bertcompress.train.train_quantized import TrainQuantized
from bertcompress_cli.output import note

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

TRAINING = "train-"
"""How folders begin in which a step that takes long keeps what it needs to go on."""

_CLASS_TASKS = ("text-classification", "token-classification")


def make_artifact(
    recipe: Recipe, out: Path, *, overwrite: bool = False, progress: Progress
) -> Artifact:
    """Runs a recipe's first variant and saves it.

    Args:
        recipe: What to do.
        out: The artifact folder.
        overwrite: Whether an artifact that is there may be replaced.
        progress: Is told the stages.

    Raises:
        BertCompressError: As the steps do; nothing is written then.
    """
    asked = (*recipe.base, *next(iter(recipe.variants.values())))
    steps = with_exports(asked, is_graph=is_graph(recipe.model), graph_wanted=False)
    check_steps(recipe, steps)
    state = out.with_name(f".{out.name}.state")
    try:
        artifact, material = starting_point(recipe, steps)
        if len(steps) > len(asked):
            note(f"{recipe.model} is a checkpoint: it is exported to ONNX first")
        passes = make_passes(recipe, steps, material, state_root=state, progress=progress)
        store = StepStore(state / "steps") if len(passes) > 1 else None
        made = Pipeline(passes).run(artifact, store=store, progress=progress)
        save(with_recipe(made, recipe, steps, out), out, overwrite=overwrite)
    except UnexpectedPassError:
        raise  # finished steps are kept: the same command goes on once the cause is gone
    except BertCompressError:
        shutil.rmtree(state, ignore_errors=True)
        raise
    shutil.rmtree(state, ignore_errors=True)
    return made


def is_graph(model: str) -> bool:
    """Says whether a model is an exported graph already."""
    return Path(model).is_dir() and kind_of(Path(model)) != "checkpoint"


def check_steps(recipe: Recipe, steps: Sequence[StepSpec]) -> None:
    """Fails at once where a setting or the order can't be meant, before anything is loaded."""
    is_exported = is_graph(recipe.model)
    steps = with_exports(steps, is_graph=is_exported, graph_wanted=False)
    material = StandIn(recipe.data, task=recipe.task or "text-classification")
    passes = [make_pass(step, material, seed=recipe.seed) for step in steps]
    if passes:
        Pipeline(passes)


def starting_point(recipe: Recipe, steps: Sequence[StepSpec]) -> tuple[Artifact, Material]:
    """Loads the model, with a new head where the first step trains one, and finds its data.

    Raises:
        LoadError: The model can't be loaded.
        UsageError: It is not said what to fine-tune for.
        DataError: The training data can't be read.
    """
    if steps and steps[0].name == "finetune":
        return _start_of_training(recipe)
    artifact = load(recipe.model, task=recipe.task)
    if steps and isinstance(artifact, Engine):
        note(f"{recipe.model} holds an engine: this begins at the graph that it was made from")
        artifact = artifact.source
    kind = make_task(artifact.task, artifact.config).label_kind
    return artifact, Material(recipe.data, task=artifact.task, label_kind=kind, seed=recipe.seed)


def make_passes(
    recipe: Recipe,
    steps: Sequence[StepSpec],
    material: Material,
    *,
    state_root: Path,
    progress: Progress = silent,
) -> list[Pass]:
    """Returns the passes of the steps; a pass that takes long keeps its state in `state_root`."""
    passes: list[Pass] = []
    digest = hashlib.sha256(recipe.model.encode())
    for step in steps:
        one = make_pass(step, material, seed=recipe.seed, progress=progress)
        digest.update(json.dumps([step.name, settings_of(one)], sort_keys=True).encode())
        if isinstance(one, Recover | TrainQuantized) and not one.teacher:
            one = replace(one, teacher=_model_before(recipe, passes, f"{step.name}.teacher"))
        if isinstance(one, Prune) and one.reference == "":
            one = replace(one, reference=_model_before(recipe, passes, "prune.reference"))
        if isinstance(one, Finetune | Prune | Recover | TrainQuantized):
            one = replace(
                one, state_folder=str(state_root / f"{TRAINING}{digest.hexdigest()[:12]}")
            )
        passes.append(one)
    return passes


def _model_before(recipe: Recipe, before: Sequence[Pass], setting: str) -> str:
    """Returns the model before pruning: the recipe's own, unless an earlier step trains it."""
    if any(isinstance(one, Finetune) for one in before):
        raise UsageError(
            f"{recipe.name}: this compares with the model before pruning, and an earlier step "
            f"trains it; name its folder as {setting}"
        )
    return recipe.model


def with_recipe(
    artifact: Artifact, recipe: Recipe, steps: Sequence[StepSpec], out: Path
) -> Artifact:
    """Returns the artifact with the recipe that repeats it among its files."""
    again = replace(
        recipe,
        base=(),
        variants={out.name.lstrip("0123456789-") or "again": tuple(steps)},
        bench=None,
        gate=None,
        output=out.with_name(f"{out.name}-again"),
    )
    text = recipe_text(again, out).encode()
    return replace(artifact, side_files={**artifact.side_files, RECIPE_NAME: text})


def _start_of_training(recipe: Recipe) -> tuple[Artifact, Material]:
    if is_graph(recipe.model):
        raise UsageError(f"{recipe.model} is a graph; fine-tuning needs the checkpoint")
    config = load_config(recipe.model)
    own = _own_task(config)
    task = recipe.task or (own if own != "feature-extraction" else None)
    if task is None:
        raise UsageError(
            f"{recipe.model} has no head yet; say what to fine-tune it for, such as "
            "--task text-classification"
        )
    kept_kind = make_task(task, config).label_kind if own == task else "class"
    kind = kept_kind if task == "text-classification" else "auto"
    material = Material(recipe.data, task=task, label_kind=kind, seed=recipe.seed)
    labels = _labels_in(material.train)
    if own == task and (task not in _CLASS_TASKS or set(labels) <= set(labels_of(config))):
        return load(recipe.model, task=task), material
    if task == "text-classification":
        _check_single_classes(material.train)
    size = f" with {len(labels)} labels" if labels else ""
    note(f"{recipe.model} gets a new head for {task}{size}")
    return load_encoder(recipe.model, task=task, labels=labels, seed=recipe.seed), material


def _own_task(config: PreTrainedConfig) -> str | None:
    try:
        return task_of(config)
    except LoadError:
        return None


def _labels_in(examples: Sequence[Example]) -> tuple[str, ...]:
    found: set[str] = set()
    for example in examples:
        if isinstance(example, TokenExample):
            found.update(example.tags or ())
        elif isinstance(example, TextExample) and isinstance(example.label, str):
            found.add(example.label)
        elif isinstance(example, TextExample) and isinstance(example.label, tuple):
            found.update(example.label)
    return tuple(sorted(found))


def _check_single_classes(examples: Sequence[Example]) -> None:
    for example in examples:
        if isinstance(example, TextExample) and not isinstance(example.label, str):
            raise UsageError(
                f"a new head learns one class a text, and {example.id} has {example.label!r}; "
                "give class names, or a model that has a head for such labels"
            )
