"""The map in characters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bertcompress.passes.prune.removed import Explanation
from bertcompress.report.explanation_text import (
    ffn_text,
    how_to_read,
    piece_rows,
    removed_text,
    text_map,
)


def test_the_map_has_a_line_for_each_layer_the_first_at_the_top(explanation: Explanation) -> None:
    assert text_map(explanation) == [
        "layer  heads 0-2    kept  neurons     kept",
        "    0  #.#        2 of 3  ########  8 of 8",
        "    1  ###        3 of 3  ##......  2 of 8",
    ]


@pytest.mark.parametrize(
    ("before", "after", "drawn"),
    [
        (1536, 1536, "########"),
        (1536, 1535, "#######."),
        (1536, 768, "####...."),
        (1536, 1, "#......."),
        (1536, 0, "........"),
        (0, 0, ""),
    ],
)
def test_only_all_looks_like_all_and_only_none_like_none(
    before: int, after: int, drawn: str, explanation: Explanation
) -> None:
    one = replace(explanation, ffn_before=(before, 8), ffn_after=(after, 8))

    assert ffn_text(one, 0) == drawn


def test_layers_without_heads_are_mapped(explanation: Explanation) -> None:
    bare = replace(explanation, head_costs=((), ()), heads_kept=((), ()), pieces=())

    assert text_map(bare)[1] == "    0         0 of 0  ########  8 of 8"
    assert piece_rows(bare) == []


def test_pieces_say_what_they_cost_by_the_score_and_in_truth(explanation: Explanation) -> None:
    assert piece_rows(explanation) == [
        ["layer 0, heads", "1 of 3", "0.001", "0.0012"],
        ["layer 1, neurons", "6 of 8", "0.03", "—"],
    ]
    assert removed_text(explanation) == "1 of 6 heads and 6 of 16 neurons were removed"
    assert "KL, nats" in how_to_read(explanation)
