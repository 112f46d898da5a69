"""What one-shot pruning tells of itself in its step: layer by layer, and piece by piece."""

from __future__ import annotations

from collections.abc import Sequence

from bertcompress.bert.pruning.measured_costs import divergence_unit
from bertcompress.bert.pruning.refit import Refitted
from bertcompress.bert.pruning.sublayers import UNITS, Key
from bertcompress.bert.structure import EncoderShape
from bertcompress.passes.prune.widths import Choice, Search

PARTS = 8
"""A layer's neurons are told of in so many equal parts."""


def removed_sentence(shape: EncoderShape, choice: Choice) -> str:
    """Returns how many heads and neurons are gone."""
    heads, ffn = choice.widths
    return (
        f"{sum(shape.layer_heads) - sum(heads)} of {sum(shape.layer_heads)} heads, "
        f"{sum(shape.layer_ffn) - sum(ffn)} of {sum(shape.layer_ffn)} neurons"
    )


def layers_table(
    shape: EncoderShape, choice: Choice, fitted: Sequence[Refitted]
) -> list[dict[str, object]]:
    """Returns a row a layer: widths before and after, and what re-fitting took off the error."""
    errors = {(one.unit, one.layer): one for one in fitted}
    heads, ffn = choice.widths
    rows: list[dict[str, object]] = []
    for layer in range(shape.layers):
        row: dict[str, object] = {
            "layer": layer,
            "heads_before": shape.layer_heads[layer],
            "heads_after": heads[layer],
            "ffn_before": shape.layer_ffn[layer],
            "ffn_after": ffn[layer],
        }
        for unit, name in zip(UNITS, ("attention", "ffn"), strict=True):
            one = errors.get((unit, layer))
            if one is not None:
                gain = 1 - one.error_after / one.error_before if one.error_before else 0.0
                row[f"{name}_error_removed"] = f"{gain:.0%}" if one.accepted else "kept"
        rows.append(row)
    return rows


def explanation_of(search: Search, choice: Choice) -> dict[str, object]:
    """Returns what each head and each part of the neurons costs, and what was removed.

    See `bertcompress.passes.prune.removed` for the form. A piece's cost by the score is what the
    search counted with; in truth is what its removal alone does to the original's answers.
    """
    shape = search.shape
    layers = range(shape.layers)
    return {
        "head_costs": [_head_costs(search, layer) for layer in layers],
        "heads_kept": [list(kept) for kept in choice.heads],
        "ffn_before": list(shape.layer_ffn),
        "ffn_after": [len(kept) for kept in choice.ffn],
        "ffn_costs": [_ffn_costs(search, layer) for layer in layers],
        "pieces": _pieces(search, choice),
        "cost_unit": divergence_unit(search.model),
    }


def _head_costs(search: Search, layer: int) -> list[float | None]:
    costs = search.alone(("heads", layer))
    if costs is None:
        return [None] * search.shape.layer_heads[layer]
    return [float(cost) for cost in costs]


def _ffn_costs(search: Search, layer: int) -> list[float]:
    curve = search.curves.get(("ffn", layer))
    if curve is None:
        return []
    neurons = len(curve) - 1
    return [float(curve[neurons * part // PARTS]) for part in range(PARTS + 1)]


def _pieces(search: Search, choice: Choice) -> list[dict[str, object]]:
    shape = search.shape
    counts = {"heads": shape.layer_heads, "ffn": shape.layer_ffn}
    lost: list[tuple[Key, int, int]] = []
    for layer in range(shape.layers):
        for unit in UNITS:
            of, left = counts[unit][layer], len(choice.kept((unit, layer)))
            if left < of:
                lost.append(((unit, layer), of - left, of))
    truth = search.truth({key: [choice.kept(key)] for key, _, _ in lost})
    return [
        {
            "unit": key[0],
            "layer": key[1],
            "removed": removed,
            "of": of,
            "by_score": float(search.curves[key][removed]),
            "in_truth": truth[key][0],
        }
        for key, removed, of in lost
    ]
