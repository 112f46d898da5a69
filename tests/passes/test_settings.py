"""What a step is known by, and the sentences for settings that can't be meant."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bertcompress.errors import UsageError
from bertcompress.passes.ranges import Ranges
from bertcompress.passes.settings import PATH, check_choice, check_counts, settings_of


@dataclass(frozen=True)
class Paint:
    colours: tuple[str, ...] = ("red", "blue")
    ranges: Ranges = field(default_factory=lambda: Ranges(samples=7))
    brush: str | None = field(default=None, metadata=PATH)


def test_settings_are_json_values_and_where_a_file_lies_is_none_of_them() -> None:
    known = settings_of(Paint(brush="/here/brush"))

    assert known == settings_of(Paint(brush="/elsewhere/brush"))
    assert known["colours"] == ["red", "blue"]
    assert known["ranges"] == {
        "method": "percentile",
        "samples": 7,
        "batch_size": 8,
        "max_length": None,
    }
    with pytest.raises(TypeError, match="a pass is a dataclass, got dict"):
        settings_of({})


def test_a_wrong_choice_is_told_with_the_nearest_right_one() -> None:
    check_choice("scope", "layer", ("global", "layer"))
    with pytest.raises(UsageError, match=r"one of global, layer, got 'layers'.*layer"):
        check_choice("scope", "layers", ("global", "layer"))


def test_a_number_below_one_is_told() -> None:
    check_counts(samples=1, batch_size=2)
    with pytest.raises(UsageError, match="batch_size must be 1 or more, got 0"):
        check_counts(samples=1, batch_size=0)
