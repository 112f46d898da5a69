"""``bertcompress report``: an existing report once more, in the form that is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertcompress_cli.options import JsonOption


def report(
    source: Annotated[
        Path, typer.Argument(metavar="REPORT", help="A report.json, or the folder that has one.")
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FOLDER", help="Write JSON, Markdown and HTML there again."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a report as Markdown or JSON, or write it again."""
    from bertcompress.report.markdown import markdown_of
    from bertcompress.report.report_files import read_report, summary_json, write_report
    from bertcompress_cli.output import result

    read = read_report(source)
    if out is not None:
        files = write_report(read, out)
        result(files.html, {"report": str(files.html), **summary_json(read)}, as_json=as_json)
        return
    result(
        "" if as_json else markdown_of(read), summary_json(read) if as_json else {}, as_json=as_json
    )
