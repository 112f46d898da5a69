"""Quantities as people type them."""

from __future__ import annotations

import pytest

from bertcompress.errors import UsageError
from bertcompress_cli.quantities import fraction, loss, ratio, seconds, size_bytes


def test_each_unit_is_read() -> None:
    assert [fraction("f", text) for text in ("1%", "0.01", ".5 %")] == [0.01, 0.01, 0.005]
    assert [ratio("r", text) for text in ("2", "2.5x", "3×")] == [2.0, 2.5, 3.0]
    assert [seconds("s", text) for text in ("5ms", "0.005s", "20 us")] == [0.005, 0.005, 2e-5]
    sizes = [size_bytes("b", text) for text in ("30MB", "1 KiB", "7", "2gb")]
    assert sizes == [30_000_000, 1024, 7, 2_000_000_000]


@pytest.mark.parametrize(
    ("text", "asked"), [("0.5", "0.5% or 50%?"), ("1", "1% or 100%?"), ("0.1", "0.1% or 10%?")]
)
def test_a_number_that_could_be_percent_or_a_fraction_is_asked_about(text: str, asked: str) -> None:
    with pytest.raises(UsageError) as refused:
        loss("max-drop", text)

    assert asked in str(refused.value)
    assert loss("max-drop", f"{text}%") == float(text) / 100


def test_nothing_typed_is_nothing_asked() -> None:
    assert (fraction("f", None), size_bytes("b", None)) == (None, None)


@pytest.mark.parametrize("text", ["", "fast", "5", "5 minutes", "-5ms", "1e3ms", "5ms6"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="--max-latency takes a quantity such as 5ms"):
        seconds("max-latency", text)
