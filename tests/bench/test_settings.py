"""Settings that can't be meant are refused, and a first look is a shorter run of the same."""

from __future__ import annotations

from dataclasses import fields

import pytest

from bertcompress.bench.settings import QUICK, BenchSettings
from bertcompress.errors import UsageError


def test_a_first_look_measures_less_of_the_same() -> None:
    usual = BenchSettings()
    changed = {
        it.name for it in fields(usual) if getattr(QUICK, it.name) != getattr(usual, it.name)
    }

    assert changed == {
        "rounds",
        "requests",
        "grid_repeats",
        "offline_sentences",
        "blocks",
        "warm_minimum_s",
        "warm_maximum_s",
        "tune",
        "roofs_s",
    }
    assert all(getattr(QUICK, name) < getattr(usual, name) for name in changed)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"grid_batches": (0,)}, "grid_batches"),
        ({"grid_lengths": (2,)}, "grid_lengths must be at least 3"),
        ({"max_drop": 1.0}, r"did you mean 0.01\?"),
        ({"warm_maximum_s": 0.1}, "must not be below"),
        ({"server": True, "server_requests": 100}, "at least 662, which a p99 needs, got 100"),
        ({"server_bound_s": 0.0}, "server_bound_s must be above 0"),
        ({"tune_slice_s": 0.0}, "tune_slice_s must be above 0"),
        ({"tune_batches": ()}, "tune_batches"),
        ({"passage_length": 2}, "passage_length must be at least 3"),
        ({"passage_repeats": 0}, "passage_repeats must be at least 1"),
        ({"roofs_s": 0.0}, "to measure none, give roofs false"),
    ],
)
def test_settings_that_can_not_be_meant_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        BenchSettings(**settings)  # type: ignore[arg-type]  # wrong on purpose
