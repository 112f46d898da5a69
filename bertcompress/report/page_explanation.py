"""What pruning removed, on the HTML page: a map, the pieces, and the figures behind them."""

from __future__ import annotations

from bertcompress.formatting import cost_text
from bertcompress.passes.prune.removed import Explanation, grouped
from bertcompress.report.explanation_text import (
    PIECE_COLUMNS,
    PIECES_HEADING,
    ffn_kept_text,
    how_to_read,
    piece_rows,
    removed_text,
)
from bertcompress.report.heat_map import heat_map
from bertcompress.report.markup import (
    Content,
    Html,
    fold,
    scrolling,
    section,
    table,
    tag,
    two_lines,
)
from bertcompress.report.summary import Summary

HEADING = "What pruning removed"
_CAPTION = (
    "A row is a layer, the first, next to the embeddings, at the top. Heads and layers have the "
    "numbers that they had before. The colour of a head is what removing it alone costs; a part of "
    "the neurons is coloured by what removing it costs together with all parts to its right. What "
    "is crossed out or hatched was removed; a heavy line ends what is left of the neurons."
)


def explanation_section(summary: Summary) -> Html:
    """Returns a map and its tables for each pruning; variants of the same pruning share them."""
    groups = grouped((one.name, one.result.explanation) for one in summary.variants)
    if not groups:
        return Html("")
    parts: list[Content] = [tag("p", _CAPTION)]
    for number, (name, explanation) in enumerate(groups):
        parts.append(tag("h3", name))
        parts.append(tag("p", f"{removed_text(explanation)}.", "soft"))
        parts.append(_map(name, explanation, f"pruned-{number}"))
        parts.append(fold("The figures of the map", *_figures(name, explanation)))
        parts.append(_pieces(name, explanation))
    return section("pruned", HEADING, *parts)


def _map(name: str, explanation: Explanation, identifier: str) -> Html:
    title = f"Heads and neurons of {name}, by what removing them costs"
    description = f"{removed_text(explanation)}. The table of figures below holds every cost."
    drawn = heat_map(explanation, name=identifier, title=title, description=description)
    return scrolling(f"Map of {name}", Html(drawn))


def _figures(name: str, explanation: Explanation) -> list[Content]:
    """Returns what the map shows as two tables."""
    unit = explanation.cost_unit
    heads = [[str(layer), *_head_cells(explanation, layer)] for layer in range(explanation.layers)]
    columns: list[Content] = ["layer", *(f"head {head}" for head in range(explanation.heads))]
    found: list[Content] = []
    if explanation.heads:
        found.append(table(f"{name}: cost of removing each head alone, {unit}", columns, heads))
    most = max((len(costs) for costs in explanation.ffn_costs), default=0) - 1
    columns = ["layer", "neurons kept", *(f"{part} of {most}" for part in range(1, most + 1))]
    rows: list[list[Content]] = []
    for layer in range(explanation.layers):
        costs: list[Content] = [cost_text(cost) for cost in explanation.ffn_steps(layer)]
        costs += ["—"] * (most - len(costs))
        rows.append([str(layer), ffn_kept_text(explanation, layer), *costs])
    caption = f"{name}: neurons"
    if most > 0:
        caption += f", and the cost of removing so many equal parts of them, {unit}"
    return [*found, table(caption, columns, rows)]


def _head_cells(explanation: Explanation, layer: int) -> list[Content]:
    kept = set(explanation.heads_kept[layer])
    costs = explanation.head_costs[layer]
    cells: list[Content] = [
        two_lines(cost_text(cost), "kept" if head in kept else "removed")
        for head, cost in enumerate(costs)
    ]
    return cells + ["—"] * (explanation.heads - len(costs))


def _pieces(name: str, explanation: Explanation) -> Html:
    if not explanation.pieces:
        return Html("")
    caption = f"{name}: {PIECES_HEADING[0].lower()}{PIECES_HEADING[1:]}, {explanation.cost_unit}"
    rows: list[list[Content]] = [[*row] for row in piece_rows(explanation)]
    made = table(caption, list(PIECE_COLUMNS), rows)
    return Html(made.markup + tag("p", how_to_read(explanation), "soft").markup)
