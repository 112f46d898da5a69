"""Where fine-tuning starts: the model with the head that it has, or with a new one for the data.

The head stays where the data's labels are the model's. Else what the labels are decides: one class
a text, several, or a number, each as in Transformers' ``problem_type``. ``--label-kind`` decides
where the labels alone do not: whole numbers are classes unless ``number`` is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertcompress.artifacts.artifact import Artifact
from bertcompress.artifacts.model_config import Problem
from bertcompress.bert.loading.frontend import load_config
from bertcompress.bert.loading.load import load, load_encoder
from bertcompress.data.labels import natural_key
from bertcompress.errors import DataError, LoadError, UsageError
from bertcompress.examples import Example, TextExample, TokenExample
from bertcompress.progress import Note, once
from bertcompress.recipes.recipe import Recipe
from bertcompress.recipes.resources import Splits
from bertcompress.tasks import make_task, task_of
from bertcompress.tasks.base import LabelKind

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_CLASS_TASKS = ("text-classification", "token-classification")
_TRAINED_TASKS = (*_CLASS_TASKS, "question-answering")
_NUMBER_LABEL = "LABEL_0"


@dataclass(frozen=True)
class NewHead:
    """A head for data.

    Attributes:
        labels: The class names in the order of their numbers; one that says nothing for a number.
        problem: For texts, what their labels are.
        kind: How the data's labels have to be read for it.
    """

    labels: tuple[str, ...] = ()
    problem: Problem | None = None
    kind: LabelKind = "auto"

    def __str__(self) -> str:
        if self.problem == "regression":
            return " that gives a number (regression)"
        several = " of which a text may have several" if self.kind == "multi" else ""
        return f" with {len(self.labels)} labels{several}" if self.labels else ""


def start_of_training(recipe: Recipe, note: Note) -> tuple[Artifact, Splits]:
    """Loads a checkpoint for training, with a new head where it has none for these labels.

    Raises:
        UsageError: It is not said what to fine-tune for.
        LoadError: The model can't be loaded.
        DataError: The training data can't be read, or no head can be learned from it.
    """
    tell = once(note)  # the data is read again for another kind of labels
    config = load_config(recipe.model)
    its_task = _task_named_in(config)
    task = recipe.task or (its_task if its_task != "feature-extraction" else None)
    if task is None and recipe.data is not None:
        task = _task_of_data(recipe)
        tell(f"the data is for {task}; --task says it, if it is for something else")
    if task is None:
        raise UsageError(
            f"{recipe.model} has no head yet; say what to fine-tune it for, such as "
            "--task text-classification"
        )
    if its_task == task:
        kind = make_task(task, config).label_kind if task == "text-classification" else "auto"
        splits = _splits(recipe, task, kind, tell)
        if task not in _CLASS_TASKS or _fits(task, config, splits.train):
            return load(recipe.model, task=task, note=tell), splits
    head = head_for(task, _splits(recipe, task, "auto", tell).train)
    tell(f"{recipe.model} gets a new head for {task}{head}")
    model = load_encoder(
        recipe.model,
        task=task,
        labels=head.labels,
        problem=head.problem,
        seed=recipe.seed,
        note=tell,
    )
    return model, _splits(recipe, task, head.kind, tell)


def head_for(task: str, examples: Sequence[Example]) -> NewHead:
    """Returns the head that examples' labels ask for.

    Raises:
        DataError: There is nothing to tell apart.
    """
    if task not in _CLASS_TASKS:
        return NewHead()
    labels = [example.label for example in examples if isinstance(example, TextExample)]
    if any(isinstance(label, float) for label in labels):
        return NewHead((_NUMBER_LABEL,), "regression", "number")
    names = tuple(sorted(_names_in(examples), key=natural_key))
    if task == "token-classification":
        return NewHead(names)
    several = any(isinstance(label, tuple) for label in labels)
    if not names or (len(names) == 1 and not several):
        raise DataError(
            f"all {len(examples):,} training examples have the label {names[0]!r}, so there is "
            "nothing to tell apart; choose data with two labels or more"
            if names
            else "no training example has a label; name the column with --label"
        )
    if several:
        return NewHead(names, "multi_label_classification", "multi")
    return NewHead(names, "single_label_classification", "class")


def _splits(recipe: Recipe, task: str, kind: LabelKind, note: Note) -> Splits:
    return Splits(recipe.data, task=task, label_kind=kind, seed=recipe.seed, note=note)


def _task_of_data(recipe: Recipe) -> str:
    """Returns the first task that the training data can be read for, labels included.

    Raises:
        DataError: It can be read for none; says what is missing for text classification.
    """
    failures = []
    for task in _TRAINED_TASKS:
        try:
            head_for(task, Splits(recipe.data, task=task, seed=recipe.seed).train)
        except DataError as error:
            failures.append(error)
        else:
            return task
    raise failures[0]


def _fits(task: str, config: PreTrainedConfig, examples: Sequence[Example]) -> bool:
    """Says whether a model's head knows the examples' labels."""
    try:
        make_task(task, config).check(examples)
    except DataError:
        return False
    return True


def _task_named_in(config: PreTrainedConfig) -> str | None:
    try:
        return task_of(config)
    except LoadError:
        return None


def _names_in(examples: Sequence[Example]) -> set[str]:
    names: set[str] = set()
    for example in examples:
        if isinstance(example, TokenExample):
            names.update(example.tags or ())
        elif isinstance(example, TextExample) and isinstance(example.label, str):
            names.add(example.label)
        elif isinstance(example, TextExample) and isinstance(example.label, tuple):
            names.update(example.label)
    return names
