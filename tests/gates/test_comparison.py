"""What a comparison is asked, and the round that it measures with."""

from __future__ import annotations

import pytest

from bertcompress.bench.settings import BenchSettings
from bertcompress.errors import UsageError
from bertcompress.gates.comparison import CompareSettings


def test_a_round_is_measured_with_the_comparisons_settings() -> None:
    settings = CompareSettings(requests=40, blocks=4, threads=3, side_by_side=False)

    assert settings.of_round() == BenchSettings(
        rounds=1,
        requests=40,
        blocks=4,
        threads=3,
        side_by_side=False,
        warm_minimum_s=settings.warm_minimum_s,
        warm_maximum_s=settings.warm_maximum_s,
        accuracy_batch=settings.answers_batch,
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"looks": ()}, "rising order"),
        ({"looks": (5, 3)}, "rising order"),
        ({"looks": (0, 3)}, "rising order"),
        ({"confidence": 1.0}, "confidence"),
        ({"examples": 0}, "examples must be at least 1"),
        ({"requests": 0}, "requests must be at least 1"),
        ({"max_slowdown": 3.0}, r"did you mean 0.03\?"),
        ({"max_slowdown": 0.0}, "no machine shows equal speed"),
        ({"max_drop": -0.1}, "max_drop"),
    ],
)
def test_settings_that_can_not_be_meant_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        CompareSettings(**settings)  # type: ignore[arg-type]  # wrong on purpose
