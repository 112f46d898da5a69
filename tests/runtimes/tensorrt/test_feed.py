"""What an engine is given: the batch as it is, or where its real tokens are."""

from __future__ import annotations

import numpy as np

from bertcompress.artifacts.engine_record import Profile
from bertcompress.graph.tensorrt.pack_tokens import (
    KEY_LENGTHS,
    PACKED_ROWS,
    PADDED_ROWS,
    QUERY_LENGTHS,
)
from bertcompress.runtimes.tensorrt.feed import STEP, callers_inputs, engine_feed, input_shapes

PACKED = ("input_ids", PACKED_ROWS, PADDED_ROWS, QUERY_LENGTHS, KEY_LENGTHS)
MASK = np.array([[1, 1, 0], [1, 0, 0]])
FEED = {"input_ids": np.array([[5, 6, 0], [7, 0, 0]]), "attention_mask": MASK}


def test_a_padded_engine_is_given_what_it_takes_of_the_batch() -> None:
    fed = engine_feed(FEED, ("input_ids",))

    assert list(fed) == ["input_ids"]
    assert fed["input_ids"] is FEED["input_ids"]


def test_the_rows_of_a_packed_engine_lead_there_and_back() -> None:
    fed = engine_feed(FEED, PACKED)

    assert "attention_mask" not in fed
    packed = FEED["input_ids"].ravel()[fed[PACKED_ROWS]]
    assert packed[:3].tolist() == [5, 6, 7]
    back = packed[fed[PADDED_ROWS]]
    assert back[MASK == 1].tolist() == [5, 6, 7]
    assert fed[QUERY_LENGTHS].tolist() == fed[KEY_LENGTHS].tolist() == [0, 2, 3]


def test_the_row_grows_in_steps_but_never_past_the_batch() -> None:
    def rows(batch: int, length: int, real: int) -> int:
        mask = (np.arange(length) < real).astype(np.int64)[None].repeat(batch, 0)
        return len(engine_feed({"attention_mask": mask}, (PACKED_ROWS,))[PACKED_ROWS])

    assert rows(4, 48, 1) == rows(4, 48, 16) == STEP
    assert rows(4, 48, 17) == 2 * STEP
    assert rows(1, 10, 5) == 10
    assert rows(1, 10, 0) == 1  # no token at all


def test_the_caller_gives_the_mask_even_where_the_engine_takes_none() -> None:
    assert callers_inputs(PACKED) == ("input_ids", "attention_mask")
    assert callers_inputs(("input_ids",)) == ("input_ids",)


def test_profiles_hold_every_batch_that_they_are_for() -> None:
    profile = Profile((1, 1), (2, 20), (8, 64))
    shapes = {name: input_shapes(name, profile) for name in PACKED}

    assert shapes["input_ids"] == shapes[PADDED_ROWS] == ((1, 1), (2, 20), (8, 64))
    assert shapes[PACKED_ROWS] == ((1,), (40,), (512,))
    assert shapes[QUERY_LENGTHS] == shapes[KEY_LENGTHS] == ((2,), (3,), (9,))
