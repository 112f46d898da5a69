"""``bertcompress init``: makes the current folder a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertcompress.errors import UsageError
from bertcompress_cli.options import DataOptions, JsonOption, takes_data


@takes_data
def init(
    *,
    model: Annotated[str, typer.Option(help="The fine-tuned model: a folder or a hub name.")],
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Make this folder a workspace of a model and its data."""
    from bertcompress.bert.loading.frontend import load_config
    from bertcompress.tasks import make_task, task_of
    from bertcompress.workspace import FILE_NAME, Workspace, create_workspace
    from bertcompress_cli.output import notes, result
    from bertcompress_cli.place import source_from_options

    if Path(FILE_NAME).exists():
        raise UsageError(f"{FILE_NAME} is there already; change it, or take another folder")
    config = load_config(model)
    task = options.task or task_of(config)
    source, count = source_from_options(options, None), None
    if source is not None:
        fitting = make_task(task, config)
        data = source.load(
            "train",
            task=task,
            label_kind=fitting.label_kind,
            seed=options.seed or 0,
            require_labels=False,
        )
        fitting.check(data.examples)
        notes(data.notes)
        count = len(data)
    made = Workspace(
        Path(),
        model,
        source.to_plain(Path()) if source is not None else None,
        options.task,
        options.seed or 0,
    )
    file = create_workspace(made)
    facts = {"workspace": str(file), "model": model, "task": task, "training_examples": count}
    result(file, facts, as_json=as_json)
