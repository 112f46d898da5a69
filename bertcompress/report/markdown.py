"""The Markdown of a report: for pull requests, job summaries and the terminal."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from bertcompress.report.schema import Report
from bertcompress.report.summary import Summary, summarize
from bertcompress.report.tables.blocks import Block, Heading, Lines, Paragraph, Table
from bertcompress.report.tables.sections import sections_of
from bertcompress.sinks import fenced, for_markdown

_CELL_CHARACTERS = 120


def markdown_of(report: Report, summary: Summary | None = None) -> str:
    """Returns the report as Markdown; `summary` spares computing its figures anew."""
    summary = summary or summarize(report)
    verdict = summary.verdict
    first, *sections = (s for s in sections_of(report, summary) if s.where in ("both", "text"))
    lines = [f"# {for_markdown(verdict.headline)}", "", for_markdown(" ".join(verdict.reasons))]
    lines += _blocks(first.only("text"))
    for heading, sentences in verdict.lists:
        lines += ["", f"## {heading}", "", *(f"- {for_markdown(line)}" for line in sentences)]
    for section in sections:
        lines += ["", f"## {for_markdown(section.heading)}", *_blocks(section.only("text"))]
    return "\n".join([*lines, ""])


def table_lines(table: Table, *, most_characters: int | None = None) -> list[str]:
    """Returns the lines of a table, its notes in brackets."""
    table = table.only("text")
    return pipe_table(
        [column.name for column in table.columns],
        [[cell.with_note for cell in row] for row in table.rows],
        words=range(len(table.columns)) if table.kind else (0,),
        most_characters=most_characters,
    )


def pipe_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: Container[int] = (0,),
    most_characters: int | None = None,
) -> list[str]:
    """Returns the lines of a Markdown table.

    Args:
        columns: Headers.
        rows: Cells; what would end one is escaped.
        words: The columns that are set to the left; all others are figures.
        most_characters: Longer cells are cut; None cuts none.
    """
    heads = "".join(f" {_cell(column)} |" if column else " |" for column in columns)
    rules = "".join("---|" if place in words else "---:|" for place in range(len(columns)))
    texts = ([_cell(cell, most_characters) for cell in row] for row in rows)
    return [f"|{heads}", f"|{rules}", *(f"| {' | '.join(row)} |" for row in texts)]


def _blocks(blocks: Sequence[Block]) -> list[str]:
    """Returns the blocks' lines, each block below an empty line."""
    return [line for block in blocks for line in ("", *_lines(block))]


def _lines(block: Block) -> list[str]:
    match block:
        case Table():
            return table_lines(block, most_characters=_CELL_CHARACTERS)
        case Paragraph():
            return [for_markdown(block.text)]
        case Heading():
            return [f"### {for_markdown(block.text)}"]
        case Lines():
            return fenced(block.lines)
        case _:
            return []  # drawings and folds are the page's


def _cell(content: str, most_characters: int | None = None) -> str:
    line = " ".join(content.split())
    if most_characters is not None and len(line) > most_characters:
        line = line[: most_characters - 1] + "…"
    return for_markdown(line)
