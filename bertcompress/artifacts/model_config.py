"""What a model's configuration says: its task and its labels.

The one place that knows which class does which task; loading, tasks and reports ask here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from bertcompress.errors import LoadError

_TASKS_BY_HEAD = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "Model": "feature-extraction",
}
TASK_NAMES = tuple(_TASKS_BY_HEAD.values())
"""The tasks by the names that Transformers pipelines use."""

Problem = Literal["single_label_classification", "multi_label_classification", "regression"]
"""What a text classifier answers, by Transformers' names."""

INPUT_NAMES = ("input_ids", "attention_mask", "token_type_ids")
"""What models are fed, each int64 ``[batch, sequence]``; some families take no segments."""

LONGEST = 512
"""Longer texts are cut here unless it is asked for, whatever the model has positions for: attention
costs the square of the length."""

CLASS_PREFIXES = ("Bert", "Roberta", "XLMRoberta", "Camembert", "Electra", "DistilBert")
"""What the names of the known model classes begin with, after ``Pruned`` where layers differ."""

_ARCHITECTURE = re.compile(
    rf"(?:Pruned)?(?:{'|'.join(CLASS_PREFIXES)})({'|'.join(_TASKS_BY_HEAD)})"
)


class ModelConfig(Protocol):
    """The part of a Transformers configuration that says what the model does."""

    @property
    def architectures(self) -> Sequence[str] | None:
        """The names of the model classes that the weights belong to."""
        ...

    @property
    def id2label(self) -> Mapping[int, str] | Mapping[str, str] | None:
        """The class name of each output."""
        ...

    @property
    def num_labels(self) -> int | None:
        """The number of outputs."""
        ...

    @property
    def problem_type(self) -> str | None:
        """``regression``, ``single_label_classification``, ``multi_label_classification``."""
        ...


def task_of_class(architecture: str) -> str | None:
    """Returns the name of the task that a model class does, None for one that is not ours.

    >>> task_of_class("PrunedBertForQuestionAnswering")
    'question-answering'
    """
    match = _ARCHITECTURE.fullmatch(architecture)
    return _TASKS_BY_HEAD[match[1]] if match is not None else None


def class_of_task(task: str) -> str:
    """Returns the name of BERT's class for a task.

    >>> class_of_task("question-answering")
    'BertForQuestionAnswering'
    """
    return next(f"Bert{head}" for head, name in _TASKS_BY_HEAD.items() if name == task)


def task_of(config: ModelConfig) -> str:
    """Returns the name of the task that the model's class does.

    Raises:
        LoadError: The class is not one of a known encoder with a head for a known task.
    """
    names = list(config.architectures or ())
    task = task_of_class(names[0]) if len(names) == 1 else None
    if task is not None:
        return task
    known = ", ".join(f"Bert{head}" for head in _TASKS_BY_HEAD)
    named = ", ".join(names) or "no architecture"
    raise LoadError(
        f"config.json names {named}; known are {known} (and those of "
        f"{', '.join(CLASS_PREFIXES[1:])}; Pruned before each): fine-tune the "
        "model for one of these tasks, give --task, or correct 'architectures' in config.json"
    )


def labels_of(config: ModelConfig) -> tuple[str, ...]:
    """Returns the class names in the order of the model's outputs.

    Raises:
        LoadError: There are none, two are the same, or their numbers have gaps.
    """
    names = {int(number): name for number, name in (config.id2label or {}).items()}
    if not names or sorted(names) != list(range(len(names))):
        raise LoadError(
            f"config.json must name the classes 0, 1, 2, … in id2label, found {names or 'none'}; "
            "correct id2label"
        )
    labels = tuple(names[number] for number in range(len(names)))
    if len(set(labels)) < len(labels):
        raise LoadError(
            f"config.json gives two classes one name in id2label: {', '.join(sorted(labels))}; "
            "correct id2label"
        )
    return labels
