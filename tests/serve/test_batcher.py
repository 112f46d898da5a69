"""What is run together, who goes first, and what is refused; time is counted, never waited for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.serve.batcher import (
    BatchCost,
    Batcher,
    Item,
    QueueFullError,
    QueueLimits,
)
from bertcompress.tasks.base import Feature


class Clock:
    """A time that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def item(length: int, **settings: object) -> Item:
    feature = Feature(0, {"input_ids": np.zeros(length, np.int64)})
    return Item(feature, **settings)  # type: ignore[arg-type]


def batcher(clock: Clock | None = None, **limits: int) -> Batcher[Item]:
    return Batcher(QueueLimits(**limits), clock=clock or Clock())


def lengths(batch: list[Item]) -> list[int]:
    return sorted(one.length for one in batch)


def test_texts_of_similar_length_are_run_together() -> None:
    queue = batcher()
    queue.add([item(length) for length in (12, 300, 13, 12, 280, 14)])
    assert lengths(queue.take()[0]) == [12, 12, 13, 14]
    assert lengths(queue.take()[0]) == [280, 300]
    assert queue.take() == ([], [])
    assert (len(queue), queue.tokens) == (0, 0)


def test_the_oldest_is_always_in_the_batch() -> None:
    queue = batcher(batch_size=4)
    first = item(500)
    queue.add([first, *(item(10) for _ in range(50))])
    assert first in queue.take()[0]


def test_a_batch_keeps_its_size_and_its_positions() -> None:
    queue = batcher(batch_size=8, token_budget=100)
    queue.add([item(20) for _ in range(30)])
    assert len(queue.take()[0]) == 5
    queue = batcher(batch_size=3)
    queue.add([item(20) for _ in range(30)])
    assert len(queue.take()[0]) == 3


def test_a_text_beyond_the_budget_is_a_batch_by_itself() -> None:
    queue = batcher(token_budget=100)
    queue.add([item(512), item(512)])
    assert lengths(queue.take()[0]) == [512]


def test_a_cost_without_fixed_part_batches_equal_lengths_only() -> None:
    queue = Batcher[Item](QueueLimits(), clock=Clock(), cost=BatchCost(0.0, 0.0, 1.0))
    queue.add([item(10), item(11)])
    assert lengths(queue.take()[0]) == [10]


def test_keys_take_turns() -> None:
    queue = batcher(batch_size=1)
    queue.add([item(5, key="many") for _ in range(20)])
    queue.add([item(5, key="one")])
    taken = [queue.take()[0][0].key for _ in range(2)]
    assert sorted(taken) == ["many", "one"]


def test_bulk_waits_and_does_not_starve() -> None:
    queue = batcher(batch_size=1)
    queue.add([item(5, priority="bulk")])
    queue.add([item(5) for _ in range(20)])
    taken = [queue.take()[0][0].priority for _ in range(9)]
    assert taken.count("bulk") == 1


def test_what_is_too_late_is_dropped_and_told() -> None:
    clock = Clock()
    queue = batcher(clock)
    late = item(5, deadline=1.0)
    queue.add([late, item(5)])
    clock.now = 2.0
    batch, dropped = queue.take()
    assert dropped == [late]
    assert late not in batch


def test_what_nobody_waits_for_is_dropped() -> None:
    queue = batcher()
    gone, stays = item(5), item(6)
    queue.add([gone, stays])
    queue.cancel(gone)
    assert queue.take()[0] == [stays]
    queue.cancel(stays)  # is being run
    assert stays.cancelled


def test_the_queue_is_bounded_in_texts_and_tokens() -> None:
    queue = batcher(items=3)
    with pytest.raises(QueueFullError, match="0 texts wait"):
        queue.add([item(1) for _ in range(4)])
    assert len(queue) == 0
    queue = batcher(tokens=10)
    queue.add([item(8)])
    with pytest.raises(QueueFullError, match="8 tokens wait"):
        queue.add([item(8)])


def test_how_long_the_oldest_waits_is_told() -> None:
    clock = Clock()
    queue = batcher(clock)
    assert queue.oldest_seconds == 0.0
    queue.add([item(5)])
    clock.now = 3.0
    assert queue.oldest_seconds == 3.0


@given(
    st.lists(
        st.tuples(
            st.integers(1, 512), st.sampled_from("abc"), st.sampled_from(["interactive", "bulk"])
        ),
        max_size=80,
    ),
    st.integers(1, 16),
)
def test_each_item_is_given_exactly_once(rows: list[tuple[int, str, str]], batch_size: int) -> None:
    queue = batcher(batch_size=batch_size, token_budget=1024)
    items = [item(length, key=key, priority=priority) for length, key, priority in rows]
    queue.add(items)
    given_out: list[Item] = []
    while len(queue):
        batch, late = queue.take()
        assert batch
        assert not late
        assert len(batch) <= batch_size
        longest = max(one.length for one in batch)
        assert len(batch) == 1 or len(batch) * longest <= 1024
        given_out += batch
    assert sorted(map(id, given_out)) == sorted(map(id, items))
    assert queue.tokens == 0
