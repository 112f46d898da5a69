"""Turns: each measures once a turn, and every second turn goes backwards."""

from __future__ import annotations

from bertcompress.bench.interleaved import in_turns, typical
from bertcompress.bench.variant import Subject


def test_every_second_turn_goes_backwards() -> None:
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return float(len(order))

    told: list[tuple[int, int]] = []
    found = in_turns(
        {"a": lambda: measure("a"), "b": lambda: measure("b")},
        3,
        told=lambda done, total: told.append((done, total)),
    )

    assert "".join(order) == "abbaab"
    assert found == {"a": [1.0, 4.0, 5.0], "b": [2.0, 3.0, 6.0]}
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_typical_features_are_short_and_long_ones(subject: Subject) -> None:
    lengths = sorted(one.length for one in subject.features)
    found = [one.length for one in typical(subject.features, 10)]

    assert len(found) == 10
    assert min(found) < lengths[len(lengths) // 2] < max(found)
