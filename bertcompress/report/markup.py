"""Pieces of HTML: text is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from bertcompress.report.svg import element, marker


@dataclass(frozen=True)
class Html:
    """Markup that is safe to write as it is."""

    markup: str


Content = str | Html


def written(content: Content) -> str:
    """Returns markup; plain text is escaped."""
    return content.markup if isinstance(content, Html) else escape(content)


def tag(name: str, content: Content | Iterable[Content], kind: str = "") -> Html:
    """Returns an element with a class."""
    parts = [content] if isinstance(content, str | Html) else content
    inner = "".join(written(part) for part in parts)
    opening = f'{name} class="{escape(kind)}"' if kind else name
    return Html(f"<{opening}>{inner}</{name}>")


def section(identifier: str, heading: str, *parts: Content) -> Html:
    """Returns a section that a heading of the second level names."""
    inner = "".join(written(part) for part in parts)
    return Html(
        f'<section aria-labelledby="{identifier}"><h2 id="{identifier}">{escape(heading)}</h2>'
        f"{inner}</section>"
    )


def bullets(items: Sequence[Content]) -> Html:
    """Returns a list."""
    return tag("ul", [tag("li", item) for item in items])


def two_lines(first: Content, second: Content) -> Html:
    """Returns a value with what belongs to it in small print below."""
    below = written(tag("small", second)) if written(second) else ""
    return Html(f'<span class="value">{written(first)}</span>{below}')


def table(
    caption: str,
    columns: Sequence[Content],
    rows: Sequence[Sequence[Content]],
    *,
    kind: str = "",
    chosen: int | None = None,
) -> Html:
    """Returns a table that scrolls inside its own box; each row's first cell is its header.

    Args:
        caption: What it holds; also the name of the box for screen readers.
        columns: Headers.
        rows: Cells.
        kind: ``words`` for cells of text, set to the left.
        chosen: The row that is set off, if one is.
    """
    head = "".join(
        f'<th scope="col"{_left(i)}>{written(column)}</th>' for i, column in enumerate(columns)
    )
    body = []
    for number, row in enumerate(rows):
        cells = [f'<th scope="row">{written(row[0])}</th>']
        cells += [f"<td{_long(cell)}>{written(cell)}</td>" for cell in row[1:]]
        opening = '<tr class="chosen">' if number == chosen else "<tr>"
        body.append(f"{opening}{''.join(cells)}</tr>")
    return scrolling(
        caption,
        Html(
            f'<table class="{escape(kind)}"><caption><span>{escape(caption)}</span></caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        ),
    )


def scrolling(name: str, content: Html) -> Html:
    """Returns a box that what is too wide scrolls in, with the keys too."""
    return Html(
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(name)}">'
        f"{content.markup}</div>"
    )


def facts(pairs: Sequence[tuple[str, Content]]) -> Html:
    """Returns names with their values."""
    inner = "".join(f"<dt>{escape(name)}</dt><dd>{written(value)}</dd>" for name, value in pairs)
    return Html(f'<dl class="facts">{inner}</dl>')


def fold(summary: Content, *parts: Content) -> Html:
    """Returns what is shown when its summary is opened."""
    inner = "".join(written(part) for part in parts)
    return Html(f"<details><summary>{written(summary)}</summary>{inner}</details>")


def named(series: int, name: str) -> Html:
    """Returns a variant's name after its marker."""
    mark = marker(7.0, 7.0, series, radius=5.2)
    drawn = element("svg", {"viewBox": "0 0 14 14", "class": "swatch", "aria-hidden": "true"}, mark)
    return Html(f'<span class="named">{drawn}<span>{escape(name)}</span></span>')


def _left(position: int) -> str:
    return ' class="left"' if position == 0 else ""


def _long(cell: Content) -> str:
    return ' class="long"' if isinstance(cell, str) and len(cell) > 60 else ""
