"""Settings of ranges: which can't be meant, and what they need of a context."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bertcompress.errors import CalibrationError, UsageError
from bertcompress.passes.ranges import Ranges


@pytest.mark.parametrize("name", ["samples", "batch_size", "max_length"])
def test_settings_that_cannot_be_meant(name: str) -> None:
    settings: dict[str, Any] = {name: 0}
    with pytest.raises(UsageError, match=f"{name} must be 1 or more, got 0"):
        Ranges(**settings)


def test_a_saved_table_takes_no_other_setting() -> None:
    with pytest.raises(UsageError, match="samples is not used with a saved table"):
        Ranges(samples=8, table="table.safetensors")


def test_they_are_found_on_examples_or_read_from_a_table() -> None:
    with pytest.raises(UsageError, match="static ranges are found on data and none was given"):
        Ranges().check(has_examples=False)
    Ranges().check(has_examples=True)
    Ranges(table="table.safetensors").check(has_examples=False)
    assert (Ranges().needs, Ranges(table="table.safetensors").needs) == (("examples",), ())


def test_a_table_is_known_by_its_content(tmp_path: Path) -> None:
    for name in ("one", "copy"):
        (tmp_path / name).write_bytes(b"ranges")
    one, copy = (Ranges(table=str(tmp_path / name)).identity() for name in ("one", "copy"))
    assert one == copy
    assert one.keys() == {"table"}
    assert Ranges().identity() == {}
    with pytest.raises(CalibrationError, match="can't read the calibration table"):
        Ranges(table=str(tmp_path / "none")).identity()
