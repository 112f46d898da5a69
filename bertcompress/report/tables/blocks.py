"""What a report is printed from: sections of tables, sentences and drawings.

`bertcompress.report.tables` fills them once; the page, Markdown, the terminal and the README each
print them in their own way and compute nothing. What only one of them has room for says so in
`where`: ``page`` is HTML, ``text`` is Markdown and the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

Where = Literal["both", "page", "text"]


@dataclass(frozen=True)
class Column:
    """A column's header.

    Attributes:
        title: What the column holds.
        note: Small print below it; the page only.
        text_title: What it is called where there is no small print, if not by its title.
        where: Who prints the column.
    """

    title: str
    note: str = ""
    text_title: str = ""
    where: Where = "both"

    @property
    def name(self) -> str:
        """The header without small print."""
        return self.text_title or self.title


@dataclass(frozen=True)
class Cell:
    """A value as people read it.

    Attributes:
        text: The value.
        note: What belongs to it, such as its interval: small print on the page, in brackets in
            Markdown, left out on the terminal.
        page_note: Small print that only the page has room for.
        series: The variant's number, which is its marker on the page.
        kind: ``good``, ``bad`` or ``level`` for a figure that the page sets off.
        is_right: Whether it is a right answer, None for what is no answer.
        badge: A word set off behind it.
        bar: The width of a bar before it, pixels.
    """

    text: str = "—"
    note: str = ""
    page_note: str = ""
    series: int | None = None
    kind: str = ""
    is_right: bool | None = None
    badge: str = ""
    bar: int = 0

    @property
    def with_note(self) -> str:
        """The value with its note in brackets."""
        return f"{self.text} ({self.note})" if self.note else self.text


Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table; each row's first cell is its header.

    Attributes:
        title: What it holds.
        columns: Headers.
        rows: Cells, as many as there are columns.
        kind: ``words`` for cells of text, ``facts`` for two columns of names and texts.
        chosen: The row that is set off, if one is.
        where: Who prints it.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    kind: Literal["", "words", "facts"] = ""
    chosen: int | None = None
    where: Where = "both"
    form: ClassVar[str] = "table"

    def only(self, where: Where) -> Table:
        """Returns the table with the columns that are printed there."""
        places = [i for i, column in enumerate(self.columns) if column.where in ("both", where)]
        columns = tuple(self.columns[place] for place in places)
        rows = tuple(tuple(row[place] for place in places) for row in self.rows)
        return replace(self, columns=columns, rows=rows)


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; `soft` for what explains rather than tells."""

    text: str
    soft: bool = True
    where: Where = "both"
    form: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Heading:
    """The heading of what follows inside a section; a variant's has its marker."""

    text: str
    series: int | None = None
    where: Where = "both"
    form: ClassVar[str] = "heading"


@dataclass(frozen=True)
class Lines:
    """Lines of characters whose columns must stay below each other."""

    lines: tuple[str, ...]
    name: str
    where: Where = "both"
    form: ClassVar[str] = "lines"


@dataclass(frozen=True)
class Drawing:
    """A drawing that scrolls in a box of its own."""

    name: str
    svg: str
    where: Where = "page"
    form: ClassVar[str] = "drawing"


@dataclass(frozen=True)
class Fold:
    """What the page shows when its title is opened."""

    title: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    where: Where = "page"
    form: ClassVar[str] = "fold"


Block = Table | Paragraph | Heading | Lines | Drawing | Fold


@dataclass(frozen=True)
class Section:
    """What stands under one heading of a report.

    Attributes:
        identifier: Its name on the page.
        heading: What it is about.
        blocks: What it holds, in reading order.
        where: Who prints it.
    """

    identifier: str
    heading: str
    blocks: tuple[Block, ...]
    where: Where = "both"

    def only(self, where: Where) -> tuple[Block, ...]:
        """Returns the blocks that are printed there."""
        return tuple(block for block in self.blocks if block.where in ("both", where))


def text_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    kind: Literal["", "words", "facts"] = "",
    where: Where = "both",
) -> Table:
    """Returns a table of plain texts."""
    return Table(
        title=title,
        columns=tuple(Column(column) for column in columns),
        rows=tuple(tuple(Cell(text) for text in row) for row in rows),
        kind=kind,
        where=where,
    )
