"""The cgroup's counters."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.machine.throttling import Throttling, read_throttling, throttled_between


def test_the_first_file_with_the_counters_is_read(tmp_path: Path) -> None:
    root, group = tmp_path / "root", tmp_path / "group"
    root.write_text("usage_usec 12\n")  # the root group of version 2 has no quota
    group.write_text("nr_periods 200\nnr_throttled 30\nthrottled_time 12345\n")

    assert read_throttling((tmp_path / "nowhere", root, group)) == Throttling(200, 30)
    assert read_throttling((root,)) is None


def test_the_share_is_that_of_the_periods_between() -> None:
    before, after = Throttling(100, 10), Throttling(300, 60)

    assert throttled_between(before, after) == pytest.approx(0.25)
    assert throttled_between(before, before) == 0.0
    assert throttled_between(None, after) is None
