"""Begins a workspace, once the model and the data are found to fit each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bertcompress.bert.loading.frontend import load_config
from bertcompress.recipes.apply_steps import Note, logged
from bertcompress.recipes.data_source import DataSource
from bertcompress.tasks import make_task, task_of
from bertcompress.workspace import Workspace, check_no_workspace, create_workspace


@dataclass(frozen=True)
class StartedWorkspace:
    """A workspace that was begun.

    Attributes:
        workspace: Its ``bertcompress.yaml``.
        model: The model, as it was named.
        task: The model's task.
        training_examples: How many there are; None without data.
    """

    workspace: Path
    model: str
    task: str
    training_examples: int | None


def start_workspace(
    folder: Path,
    model: str,
    *,
    data: DataSource | None = None,
    task: str | None = None,
    seed: int = 0,
    note: Note = logged,
) -> StartedWorkspace:
    """Makes a folder a workspace of a model and its data.

    Args:
        folder: The folder.
        model: A folder or a hub name.
        data: Where examples are read from, if that is known already.
        task: The task, where the model does not say it.
        seed: For everything drawn.
        note: Is told what was guessed about the data.

    Raises:
        BertCompressError: The folder is a workspace already, the model or the data can't be read,
            or they do not fit each other; nothing is written then.
    """
    check_no_workspace(folder)
    config = load_config(model)
    name, count = task or task_of(config), None
    if data is not None:
        fitting = make_task(name, config)
        training = data.load(
            "train", task=name, label_kind=fitting.label_kind, seed=seed, require_labels=False
        )
        fitting.check(training.examples)
        for sentence in training.notes:
            note(sentence)
        count = len(training)
    plain = data.to_plain(folder) if data is not None else None
    file = create_workspace(Workspace(folder, model, plain, task, seed))
    return StartedWorkspace(file, model, name, count)
