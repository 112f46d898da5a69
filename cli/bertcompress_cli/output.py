"""What the command prints: the result on stdout, everything else on stderr."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from bertcompress.files import json_text
from bertcompress.sinks import for_json, for_terminal

if TYPE_CHECKING:
    from bertcompress.report.tables.blocks import Table


def result(text: object, facts: Mapping[str, object], *, as_json: bool) -> None:
    """Prints the result: its text, or all its facts as one JSON object on one line."""
    if as_json:
        json_line(facts)
    else:
        print(for_terminal(str(text), keep="\n"))


def json_line(facts: Mapping[str, object]) -> None:
    """Prints facts as one JSON object on one line, which reads back the same."""
    print(_as_the_terminal_can(for_json(json_text(facts, default=str))))


def write_what_it_can() -> None:
    """Makes stdout and stderr write what their encoding does not have as escapes, not fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _as_the_terminal_can(text: str) -> str:
    """Returns JSON with escapes of its own where stdout's encoding needs any."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeError:
        return json.dumps(json.loads(text))
    return text


def note(sentence: str) -> None:
    """Says something on stderr that the user must know."""
    say(f"note: {sentence}")


def say(sentence: str) -> None:
    """Says one line on stderr."""
    print(for_terminal(" ".join(sentence.split("\n"))), file=sys.stderr, flush=True)


def notes(sentences: Iterable[str]) -> None:
    """Says several things on stderr."""
    for sentence in sentences:
        note(sentence)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", stderr: bool = False
) -> None:
    """Prints a table; the first column is left-aligned, the others right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    heading = Text(for_terminal(title)) if title else None
    drawn = RichTable(title=heading, box=box.SIMPLE_HEAD, title_justify="left")
    for number, name in enumerate(columns):
        drawn.add_column(Text(for_terminal(name)), justify="left" if number == 0 else "right")
    for row in rows:
        drawn.add_row(*(Text(for_terminal(cell)) for cell in row))
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console = Console(stderr=stderr, width=160)
    console.print(drawn)


def print_table(of_report: Table, *, stderr: bool = False) -> None:
    """Prints a report's table, without notes: the report has those."""
    shown = of_report.only("text")
    columns = [column.name for column in shown.columns]
    table(columns, [[cell.text for cell in row] for row in shown.rows], stderr=stderr)
