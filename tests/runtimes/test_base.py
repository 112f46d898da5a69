"""The fake runtime, and which outputs have an entry a token."""

from __future__ import annotations

import numpy as np
import pytest

from bertcompress.runtimes.base import FakeRuntime, follows_sequence


def test_the_fake_answers_with_its_function() -> None:
    feed = {"input_ids": np.asarray([[2, 90, 91, 3], [2, 90, 3, 0]])}

    with FakeRuntime(lambda feed: {"logits": feed["input_ids"] * 2}, outputs=("logits",)) as fake:
        np.testing.assert_array_equal(fake.run(feed)["logits"], feed["input_ids"] * 2)
        assert fake.calls == 1


@pytest.mark.parametrize(
    ("name", "shape", "follows"),
    [
        ("logits", (3, 2), False),  # of a text
        ("logits", (3, 9, 2), True),  # of a token
        ("last_hidden_state", (3, 9, 32), True),
        ("start_logits", (3, 9), True),
        ("end_logits", (3, 9), True),
    ],
)
def test_outputs_of_tokens_are_told_from_those_of_texts(
    name: str, shape: tuple[int, ...], follows: bool
) -> None:
    assert follows_sequence(name, np.zeros(shape)) is follows
