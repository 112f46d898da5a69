"""``bertcompress demo``: the whole way on a model and a corpus that come with the project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertcompress_cli.options import JsonOption


def demo(
    *,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT", help="The folder for everything.")
    ] = Path(".demo"),
    model: Annotated[
        str | None, typer.Option(help="Another model: a folder or a hub name.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Other data: a file, folder or hub name.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Go the whole way on a small model that comes along."""
    from bertcompress.recipes.demo import write_demo
    from bertcompress_cli.verbs.run import run_and_show

    run_and_show(write_demo(out, model, data), as_json=as_json)
