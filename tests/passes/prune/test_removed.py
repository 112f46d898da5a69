"""What the pass leaves is read, checked and grouped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bertcompress.artifacts.artifact import Step
from bertcompress.codec import to_plain
from bertcompress.errors import DataError, LoadError
from bertcompress.passes.prune.removed import DETAIL, Explanation, Piece, explanation_of, grouped


def step(name: str, **details: object) -> Step:
    return Step(name, {}, 1.0, None, None, 0, 0, details)


def test_the_last_step_that_tells_is_read(explanation: Explanation) -> None:
    later = replace(explanation, cost_unit="squared error")
    history = [
        step("Prune", explain=to_plain(explanation)),
        step("Prune", explain=to_plain(later)),
        step("ExportOnnx", kernels={}),
    ]

    assert explanation_of(history) == later
    assert explanation_of(history[:1]) == explanation
    assert explanation_of(history[2:]) is None
    assert DETAIL == "explain"


def test_whole_numbers_are_costs_too(explanation: Explanation) -> None:
    plain = to_plain(explanation)
    assert isinstance(plain, dict)

    found = explanation_of([step("Prune", explain={**plain, "head_costs": [[0, 1, 2], [0, 0, 0]]})])

    assert found is not None
    assert found.head_costs[0] == (0.0, 1.0, 2.0)


def test_damage_is_one_sentence_that_names_the_step(explanation: Explanation) -> None:
    plain = to_plain(explanation)
    assert isinstance(plain, dict)
    del plain["pieces"]

    with pytest.raises(LoadError, match=r"the step Prune .* damaged: .*pieces is missing; make"):
        explanation_of([step("Prune", explain=plain)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: replace(e, ffn_after=(8,)), "number of layers"),
        (lambda e: replace(e, heads_kept=((0, 3), ())), "layer 0 keeps a head"),
        (lambda e: replace(e, ffn_after=(9, 2)), "layer 0 keeps more neurons"),
        (lambda e: replace(e, pieces=(Piece("ffn", 2, 1, 8, 0.1, 0.1),)), "no layer 2"),
        (lambda e: replace(e, pieces=(Piece("ffn", 1, 1, 8, 0.1, float("nan")),)), "finite"),
        (lambda e: replace(e, head_costs=((float("inf"),) * 3,) * 2), "finite"),
    ],
)
def test_contradictions_are_found(
    change: Callable[[Explanation], Explanation], message: str, explanation: Explanation
) -> None:
    with pytest.raises(DataError, match=message):
        change(explanation)


def test_variants_of_one_pruning_are_one_group(explanation: Explanation) -> None:
    other = replace(explanation, cost_unit="squared error")
    named = [("a", None), ("b", explanation), ("c", other), ("d", explanation)]

    assert grouped(named) == [("b, d", explanation), ("c", other)]
