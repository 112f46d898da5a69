"""Settings of reading are checked where they are made."""

from __future__ import annotations

import pytest

from bertcompress.data.table import Columns, ReadSettings
from bertcompress.errors import UsageError


def test_settings_are_checked() -> None:
    with pytest.raises(UsageError, match=r"task must be one of .*did you mean 'text-class"):
        ReadSettings("text-clasification")
    with pytest.raises(UsageError, match=r"label_kind must be one of .*got 'single'"):
        ReadSettings("text-classification", label_kind="single")  # type: ignore[arg-type]  # test
    with pytest.raises(UsageError, match="label_separator must be at least one character"):
        Columns(label_separator="")
