"""Messages come back as they were sent, and what is none is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest

from bertcompress.errors import RunError
from bertcompress.serve.wire import PREFIX, Message, body_length, packed, read_message


def test_fields_and_arrays_come_back() -> None:
    arrays = {
        "ids": np.arange(6, dtype=np.int32).reshape(2, 3),
        "empty": np.zeros((0, 4), np.float32),
        "one": np.float32(3.5).reshape(()),
    }
    found = read_message(io.BytesIO(packed(Message({"wide": True}, arrays))).read)
    assert found is not None
    assert found.head == {"wide": True}
    for name, values in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], values)
        assert found.arrays[name].dtype == values.dtype


def test_an_end_in_the_middle_is_an_end() -> None:
    whole = packed(Message({"a": 1}, {"x": np.ones(5)}))
    for cut in (0, 3, PREFIX.size, len(whole) - 1):
        assert read_message(io.BytesIO(whole[:cut]).read) is None


@pytest.mark.parametrize("numbers", [(2, 9), (4, 5), (2**32 - 1, 3)])
def test_a_prefix_that_is_none_is_refused(numbers: tuple[int, int]) -> None:
    with pytest.raises(RunError, match="no message"):
        body_length(PREFIX.pack(*numbers))
