"""``bertcompress init``: makes the current folder a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertcompress_cli.options import DataOptions, JsonOption, takes_data


@takes_data
def init(
    *,
    model: Annotated[
        str, typer.Option(help="The model: a folder, a hub name, or demo, which comes along.")
    ],
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Make this folder a workspace of a model and its data."""
    from dataclasses import asdict

    from bertcompress.recipes.demo import model_named
    from bertcompress.recipes.start_workspace import start_workspace
    from bertcompress_cli.output import note, result
    from bertcompress_cli.place import source_from_options

    started = start_workspace(
        Path(),
        model_named(model),
        data=source_from_options(options, None),
        task=options.task,
        seed=options.seed or 0,
        note=note,
    )
    result(started.workspace, asdict(started), as_json=as_json)
