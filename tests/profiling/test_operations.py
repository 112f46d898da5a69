"""The work of a call, against numbers computed by hand."""

from __future__ import annotations

from bertcompress.profiling.operations import Operations


def test_bytes_are_weights_once_and_rows_for_each_position() -> None:
    found = Operations(float_per_token=10, attention_width=3, weight_bytes=1000, bytes_per_token=7)

    work = found.work(sentences=2, length=5)

    assert work.bytes == 1000 + 7 * 10
    assert work.float_operations == 10 * 10 + 2 * 2 * 25 * 3
    assert work.integer_operations == 0
