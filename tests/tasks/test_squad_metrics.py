"""Exact match and F1 by hand."""

from __future__ import annotations

import pytest

from bertcompress.tasks.squad_metrics import exact_match, normal_words, token_f1


@pytest.mark.parametrize(
    ("answer", "accepted", "exact", "f1"),
    [
        ("The Denver Broncos!", ["denver broncos"], 1.0, 1.0),
        ("Denver", ["Denver Broncos"], 0.0, 2 / 3),
        ("Denver", ["Carolina", "Denver Broncos"], 0.0, 2 / 3),
        ("Carolina", ["Denver Broncos"], 0.0, 0.0),
        ("cat cat", ["cat"], 0.0, 2 / 3),
        ("", [], 1.0, 1.0),
        ("Denver", [], 0.0, 0.0),
        ("", ["Denver"], 0.0, 0.0),
        ("", ["the"], 1.0, 1.0),
    ],
)
def test_by_hand(answer: str, accepted: list[str], exact: float, f1: float) -> None:
    assert exact_match(answer, accepted) == exact
    assert token_f1(answer, accepted) == pytest.approx(f1)


def test_words_are_normal() -> None:
    assert normal_words("An  apple, a day; THE end.\n") == ["apple", "day", "end"]
    assert normal_words("theory") == ["theory"]
