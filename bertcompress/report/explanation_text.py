"""What pruning removed, in characters: one map and one table for Markdown, terminal and page.

layer  heads 0-3   kept    neurons   kept
    0  ##.#      3 of 4   ######..  96 of 128
"""

from __future__ import annotations

from bertcompress.formatting import cost_text, count_text
from bertcompress.passes.prune.removed import Explanation, Piece

KEPT, REMOVED = "#", "."
LEGEND = (
    f"In the map {KEPT} is kept and {REMOVED} is removed: a character is one head, head 0 at the "
    "left, or an eighth of the neurons. The first layer is at the top."
)
PIECES_HEADING = "What each removed piece cost"
PIECE_COLUMNS = ("sub-layer", "removed", "by the score", "in truth")
_PARTS = 8
_UNITS = {"heads": "heads", "ffn": "neurons"}


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


def ffn_kept_text(explanation: Explanation, layer: int) -> str:
    """Returns how many neurons a layer keeps of how many."""
    before, after = explanation.ffn_before[layer], explanation.ffn_after[layer]
    return f"{count_text(after)} of {count_text(before)}"


def removed_text(explanation: Explanation) -> str:
    """Returns what was removed in all, in a sentence without its full stop."""
    heads = sum(len(costs) for costs in explanation.head_costs)
    left = sum(len(kept) for kept in explanation.heads_kept)
    before, after = sum(explanation.ffn_before), sum(explanation.ffn_after)
    return (
        f"{heads - left} of {heads} heads and {count_text(before - after)} of {count_text(before)} "
        "neurons were removed"
    )


def piece_rows(explanation: Explanation) -> list[list[str]]:
    """Returns the rows of the table of pieces, under `PIECE_COLUMNS`."""
    return [
        [
            piece_name(piece),
            f"{count_text(piece.removed)} of {count_text(piece.of)}",
            cost_text(piece.by_score),
            cost_text(piece.in_truth),
        ]
        for piece in explanation.pieces
    ]


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
