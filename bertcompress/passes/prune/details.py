"""What one-shot pruning tells of itself in its step: layer by layer, and piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bertcompress.bert.pruning.measured_costs import divergence_unit
from bertcompress.bert.pruning.refit import Refitted
from bertcompress.bert.pruning.sublayers import UNITS, Key, Unit
from bertcompress.bert.structure import EncoderShape
from bertcompress.passes.prune.removed import Explanation, Piece
from bertcompress.passes.prune.widths import Choice, Search

PARTS = 8
"""A layer's neurons are told of in this many equal parts."""


@dataclass(frozen=True)
class WidthsRow:
    """A layer's heads and neurons before and after."""

    layer: int
    heads_before: int
    heads_after: int
    ffn_before: int
    ffn_after: int


@dataclass(frozen=True)
class LayerRow(WidthsRow):
    """What re-fitting took off each error, as a percentage; None where nothing was re-fitted."""

    attention_error_removed: str | None = None
    ffn_error_removed: str | None = None


@dataclass(frozen=True)
class PruneDetails:
    """What one-shot pruning tells.

    Attributes:
        layers: A row for each layer.
        removed: How many heads and neurons are gone.
        notes: What was measured on, and how the answers fare.
        explain: What each piece costs, and what was removed.
        agreement: How alike answers are on samples held out, see `bertcompress.bert.answers`; None
            in folders that were made before it was told.
    """

    layers: tuple[LayerRow, ...]
    removed: str
    notes: tuple[str, ...]
    explain: Explanation
    agreement: float | None = field(default=None, kw_only=True)


def removed_sentence(shape: EncoderShape, choice: Choice) -> str:
    """Returns how many heads and neurons are gone."""
    heads, ffn = choice.widths
    return (
        f"{sum(shape.layer_heads) - sum(heads)} of {sum(shape.layer_heads)} heads, "
        f"{sum(shape.layer_ffn) - sum(ffn)} of {sum(shape.layer_ffn)} neurons"
    )


def widths_rows(
    before: EncoderShape, heads: Sequence[int], ffn: Sequence[int]
) -> tuple[WidthsRow, ...]:
    """Returns a row for each layer, with the numbers of heads and neurons that it has now."""
    widths = zip(before.layer_heads, heads, before.layer_ffn, ffn, strict=True)
    return tuple(WidthsRow(layer, *numbers) for layer, numbers in enumerate(widths))


def layer_rows(
    shape: EncoderShape, choice: Choice, fitted: Sequence[Refitted]
) -> tuple[LayerRow, ...]:
    """Returns a row for each layer: its widths, and what re-fitting took off the error."""
    gains = {(result.unit, result.layer): _gain(result) for result in fitted}
    return tuple(
        LayerRow(
            **vars(row),
            attention_error_removed=gains.get(("heads", row.layer)),
            ffn_error_removed=gains.get(("ffn", row.layer)),
        )
        for row in widths_rows(shape, *choice.widths)
    )


def explanation(search: Search, choice: Choice) -> Explanation:
    """Returns what each head and each part of the neurons costs, and what was removed.

    A piece's cost by the score is what the search counted with; in truth is what its removal alone
    does to the original's answers.
    """
    shape = search.shape
    layers = range(shape.layers)
    return Explanation(
        head_costs=tuple(_head_costs(search, layer) for layer in layers),
        heads_kept=choice.heads,
        ffn_before=shape.layer_ffn,
        ffn_after=tuple(len(kept) for kept in choice.ffn),
        ffn_costs=tuple(_ffn_costs(search, layer) for layer in layers),
        pieces=_pieces(search, choice),
        cost_unit=divergence_unit(search.model),
    )


def _gain(result: Refitted) -> str:
    removed = 1 - result.error_after / result.error_before if result.error_before else 0.0
    return f"{removed:.0%}" if result.accepted else "kept"


def _head_costs(search: Search, layer: int) -> tuple[float | None, ...]:
    costs = search.unit_costs(("heads", layer))
    if costs is None:
        return (None,) * search.shape.layer_heads[layer]
    return tuple(float(cost) for cost in costs)


def _ffn_costs(search: Search, layer: int) -> tuple[float, ...]:
    curve = search.curves.get(("ffn", layer))
    if curve is None:
        return ()
    neurons = len(curve) - 1
    return tuple(float(curve[neurons * part // PARTS]) for part in range(PARTS + 1))


def _pieces(search: Search, choice: Choice) -> tuple[Piece, ...]:
    shape = search.shape
    counts: dict[Unit, Sequence[int]] = {"heads": shape.layer_heads, "ffn": shape.layer_ffn}
    lost: list[tuple[Key, int, int]] = []
    for layer in range(shape.layers):
        for unit in UNITS:
            of, left = counts[unit][layer], len(choice.kept((unit, layer)))
            if left < of:
                lost.append(((unit, layer), of - left, of))
    truth = search.truth({key: [choice.kept(key)] for key, _, _ in lost})
    return tuple(
        Piece(
            unit=key[0],
            layer=key[1],
            removed=removed,
            of=of,
            by_score=float(search.curves[key][removed]),
            in_truth=truth[key][0],
        )
        for key, removed, of in lost
    )
