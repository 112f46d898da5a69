"""What pruning removed: a map in characters or as a drawing, and what each piece cost.

layer  heads 0-3   kept    neurons   kept
    0  ##.#      3 of 4   ######..  96 of 128
"""

from __future__ import annotations

from bertcompress.formatting import cost_text, count_text
from bertcompress.passes.prune.removed import Explanation, Piece, grouped
from bertcompress.report.heat_map import ffn_kept_text, heat_map
from bertcompress.report.summary import Summary
from bertcompress.report.tables.blocks import (
    Block,
    Cell,
    Column,
    Drawing,
    Fold,
    Heading,
    Lines,
    Paragraph,
    Row,
    Section,
    Table,
    text_table,
)

KEPT, REMOVED = "#", "."
LEGEND = (
    f"In the map {KEPT} is kept and {REMOVED} is removed: a character is one head, head 0 at the "
    "left, or an eighth of the neurons. The first layer is at the top."
)
_CAPTION = (
    "A row is a layer, the first, next to the embeddings, at the top. Heads and layers have the "
    "numbers that they had before. The colour of a head is what removing it alone costs; a part of "
    "the neurons is coloured by what removing it costs together with all parts to its right. What "
    "is crossed out or hatched was removed; a heavy line ends what is left of the neurons."
)
_PARTS = 8
_UNITS = {"heads": "heads", "ffn": "neurons"}


def pruning_section(summary: Summary) -> Section:
    """Returns a map and its tables for each pruning; variants of the same pruning share them."""
    groups = grouped((variant.name, variant.result.explanation) for variant in summary.variants)
    blocks: list[Block] = []
    if groups:
        blocks = [Paragraph(_CAPTION, soft=False, where="page"), Paragraph(LEGEND, where="text")]
    for number, (name, explanation) in enumerate(groups):
        blocks += [
            Heading(name),
            Paragraph(f"{removed_text(explanation)}."),
            Lines(tuple(text_map(explanation)), f"Map of {name}", where="text"),
            _drawing(name, explanation, f"pruned-{number}"),
            Fold("The figures of the map", _figures(name, explanation)),
        ]
        if explanation.pieces:
            how = how_to_read(explanation)
            blocks.append(Paragraph(f"What each removed piece cost. {how}", where="text"))
            blocks += [pieces_table(name, explanation), Paragraph(how, where="page")]
    return Section("pruned", "What pruning removed", tuple(blocks))


def pieces_table(name: str, explanation: Explanation) -> Table:
    """Returns what each removed piece cost."""
    rows = [
        (
            piece_name(piece),
            f"{count_text(piece.removed)} of {count_text(piece.of)}",
            cost_text(piece.by_score),
            cost_text(piece.in_truth),
        )
        for piece in explanation.pieces
    ]
    title = f"{name}: what each removed piece cost, {explanation.cost_unit}"
    return text_table(title, ("sub-layer", "removed", "by the score", "in truth"), rows)


def _drawing(name: str, explanation: Explanation, identifier: str) -> Drawing:
    title = f"Heads and neurons of {name}, by what removing them costs"
    description = f"{removed_text(explanation)}. The table of figures below holds every cost."
    drawn = heat_map(explanation, name=identifier, title=title, description=description)
    return Drawing(f"Map of {name}", drawn)


def _figures(name: str, explanation: Explanation) -> tuple[Table, ...]:
    """Returns what the map shows as two tables; that of the heads only where there are some."""
    layers, unit = range(explanation.layers), explanation.cost_unit
    heads = Table(
        title=f"{name}: cost of removing each head alone, {unit}",
        columns=(
            Column("layer"),
            *(Column(f"head {head}") for head in range(explanation.heads)),
        ),
        rows=tuple((Cell(str(layer)), *_head_cells(explanation, layer)) for layer in layers),
    )
    most = max((len(costs) for costs in explanation.ffn_costs), default=0) - 1
    rows = []
    for layer in layers:
        costs = [cost_text(cost) for cost in explanation.ffn_steps(layer)]
        costs += ["—"] * (most - len(costs))
        rows.append((str(layer), ffn_kept_text(explanation, layer), *costs))
    title = f"{name}: neurons"
    if most > 0:
        title += f", and the cost of removing so many equal parts of them, {unit}"
    columns = ("layer", "neurons kept", *(f"{part} of {most}" for part in range(1, most + 1)))
    neurons = text_table(title, columns, rows)
    return (heads, neurons) if explanation.heads else (neurons,)


def _head_cells(explanation: Explanation, layer: int) -> Row:
    kept = set(explanation.heads_kept[layer])
    costs = explanation.head_costs[layer]
    cells = [
        Cell(cost_text(cost), page_note="kept" if head in kept else "removed")
        for head, cost in enumerate(costs)
    ]
    return (*cells, *[Cell()] * (explanation.heads - len(costs)))


def text_map(explanation: Explanation) -> list[str]:
    """Returns the lines of the map: each layer's heads and the part of its neurons."""
    heads = explanation.heads
    last = f"heads 0-{heads - 1}" if heads > 1 else "heads"
    rows = [("layer", last, "kept", "neurons", "kept")]
    rows += [
        (
            str(layer),
            head_text(explanation, layer),
            heads_kept_text(explanation, layer),
            ffn_text(explanation, layer),
            ffn_kept_text(explanation, layer),
        )
        for layer in range(explanation.layers)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    numbers = (0, 2, 4)
    return [
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def head_text(explanation: Explanation, layer: int) -> str:
    """Returns a character for each head that the layer had."""
    kept = set(explanation.heads_kept[layer])
    heads = range(len(explanation.head_costs[layer]))
    return "".join(KEPT if head in kept else REMOVED for head in heads)


def ffn_text(explanation: Explanation, layer: int) -> str:
    """Returns a character for each eighth of the neurons; only all are all, only none is none."""
    before, after = explanation.ffn_before[layer], explanation.ffn_after[layer]
    if not before:
        return ""
    full = round(_PARTS * after / before)
    if 0 < after < before:
        full = min(max(full, 1), _PARTS - 1)
    return KEPT * full + REMOVED * (_PARTS - full)


def heads_kept_text(explanation: Explanation, layer: int) -> str:
    """Returns how many heads a layer keeps of how many."""
    return f"{len(explanation.heads_kept[layer])} of {len(explanation.head_costs[layer])}"


def removed_text(explanation: Explanation) -> str:
    """Returns what was removed in all, in a sentence without its full stop."""
    heads = sum(len(costs) for costs in explanation.head_costs)
    left = sum(len(kept) for kept in explanation.heads_kept)
    before, after = sum(explanation.ffn_before), sum(explanation.ffn_after)
    return (
        f"{heads - left} of {heads} heads and {count_text(before - after)} of {count_text(before)} "
        "neurons were removed"
    )


def piece_name(piece: Piece) -> str:
    """Returns what people call a sub-layer's units.

    >>> piece_name(Piece("ffn", 3, 96, 128, 0.1, 0.2))
    'layer 3, neurons'
    """
    return f"layer {piece.layer}, {_UNITS[piece.unit]}"


def how_to_read(explanation: Explanation) -> str:
    """Returns what the two figures of a piece mean."""
    return (
        f"All costs: {explanation.cost_unit}. By the score: what pruning expected a piece to cost. "
        "In truth: how far the answers move from the original's when this piece alone is gone."
    )
