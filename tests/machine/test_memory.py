"""The process's memory: a large array is seen while it is there, its peak also afterwards."""

from __future__ import annotations

import numpy as np

from bertcompress.machine.memory import peak_bytes, resident_bytes

MIB = 1 << 20
LOTS = 8 * MIB
"""The system counts pages in lots, so two readings of one amount differ."""


def test_the_resident_set_follows_and_the_peak_stays() -> None:
    before = resident_bytes()
    array = np.ones(256 * MIB, dtype=np.uint8)
    during, peak = resident_bytes(), peak_bytes()
    del array

    assert during - before > 200 * MIB
    assert peak >= during - LOTS
    assert resident_bytes() < during - 200 * MIB
    assert peak_bytes() >= peak - LOTS
