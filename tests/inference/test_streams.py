"""Several runtimes at once: everything answered once, in order, and all of them at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.errors import RunError, UsageError
from bertcompress.inference.streams import Streams, batches_of, open_streams
from bertcompress.runtimes.base import Arrays, FakeRuntime
from bertcompress.tasks.base import Feature, pad


def feature(length: int, index: int = 0) -> Feature:
    ids = np.full(length, length, dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
    return Feature(index, inputs)


def lengths_of(feed: Arrays) -> dict[str, NDArray[np.generic]]:
    """Answers each row's length, and per token its id."""
    mask = np.asarray(feed["attention_mask"], np.int64)
    ids = np.asarray(feed["input_ids"], np.int64)
    return {"logits": mask.sum(1), "last_hidden_state": ids[:, :, None], "start_logits": ids}


def fakes(
    count: int, answer: Callable[[Arrays], dict[str, NDArray[np.generic]]] = lengths_of
) -> list[FakeRuntime]:
    return [FakeRuntime(answer, outputs=("logits",)) for _ in range(count)]


@given(
    st.lists(st.integers(1, 40), max_size=60), st.integers(1, 9), st.integers(1, 4), st.booleans()
)
def test_every_feature_gets_its_own_answer(
    lengths: list[int], batch_size: int, streams: int, by_length: bool
) -> None:
    runtimes, told = fakes(streams), list[int]()
    features = [feature(length, i) for i, length in enumerate(lengths)]

    with Streams(runtimes) as opened:
        rows = opened.run_features(
            features,
            batch_size=batch_size,
            sort_by_length=by_length,
            pad_token_id=77,
            finished=told.append,
        )

    assert [int(row["logits"]) for row in rows] == lengths
    assert [row["last_hidden_state"].shape for row in rows] == [(n, 1) for n in lengths]
    assert all((row["start_logits"] == n).all() for row, n in zip(rows, lengths, strict=True))
    assert sum(told) == len(lengths)
    assert sum(runtime.calls for runtime in runtimes) == -(-len(lengths) // batch_size)


def test_two_streams_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=10.0)  # breaks unless two batches run at once

    def meet(feed: Arrays) -> dict[str, NDArray[np.generic]]:
        both.wait()
        return lengths_of(feed)

    with Streams(fakes(2, meet)) as streams:
        rows = streams.run_features([feature(n) for n in (3, 4, 5, 6)], batch_size=1)

    assert [int(row["logits"]) for row in rows] == [3, 4, 5, 6]


def test_a_runtime_never_has_two_batches() -> None:
    busy, most = [0, 0, 0], [0, 0, 0]

    def counted(at: int) -> Callable[[Arrays], dict[str, NDArray[np.generic]]]:
        def answer(feed: Arrays) -> dict[str, NDArray[np.generic]]:
            busy[at] += 1
            most[at] = max(most[at], busy[at])
            time.sleep(0.0005)
            busy[at] -= 1
            return lengths_of(feed)

        return answer

    runtimes = [FakeRuntime(counted(at), outputs=("logits",)) for at in range(3)]
    with Streams(runtimes) as streams:
        list(streams.run_all([pad([feature(3)], pad_token_id=0)] * 60))

    assert most == [1, 1, 1]
    assert sum(runtime.calls for runtime in runtimes) == 60
    assert min(runtime.calls for runtime in runtimes) > 0


def test_one_runtime_runs_in_the_callers_thread() -> None:
    seen: list[threading.Thread] = []

    def answer(feed: Arrays) -> dict[str, NDArray[np.generic]]:
        seen.append(threading.current_thread())
        return lengths_of(feed)

    Streams(fakes(1, answer)).run_features([feature(3), feature(4)], batch_size=1)

    assert seen == [threading.current_thread()] * 2


def test_an_error_ends_the_rest() -> None:
    calls = 0

    def fail(feed: Arrays) -> dict[str, NDArray[np.generic]]:
        nonlocal calls
        calls += 1
        time.sleep(0.002)
        raise RunError("no kernel for this operator")

    with Streams(fakes(2, fail)) as streams, pytest.raises(RunError, match="no kernel"):
        streams.run_features([feature(3)] * 100, batch_size=1)

    assert calls < 10


def test_long_batches_are_begun_first() -> None:
    batches = batches_of([3, 9, 1, 7, 5], batch_size=2, sort_by_length=True)

    assert batches == [[1], [4, 3], [2, 0]]
    assert batches_of([3, 9, 1], batch_size=2, sort_by_length=False) == [[0, 1], [2]]
    assert batches_of([], batch_size=2, sort_by_length=True) == []
    with pytest.raises(UsageError, match="batch_size must be 1 or more, got 0"):
        batches_of([1], batch_size=0, sort_by_length=True)


def test_no_streams_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="streams must be 1 or more"):
        Streams([])
    with (
        pytest.raises(UsageError, match="streams must be 1 or more, got 0"),
        open_streams(tmp_path, streams=0, threads=1),
    ):
        pass


@pytest.mark.parametrize("exported", [True, False])
def test_real_runtimes_answer_as_one_does(
    exported: bool,
    tiny_folder: Callable[..., Path],
    tiny_graph: Callable[..., OnnxModel],
    tmp_path: Path,
) -> None:
    folder = save(tiny_graph(), tmp_path / "graph") if exported else tiny_folder()
    generator = np.random.default_rng(0)
    features = []
    for i, length in enumerate(generator.integers(3, 20, 40).tolist()):
        ids = generator.integers(5, 40, length)
        inputs = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        features.append(Feature(i, inputs))

    with open_streams(folder, streams=1, threads=1) as one:
        expected = one.run_features(features, batch_size=4)
    with open_streams(folder, streams=3, threads=1) as three:
        assert len(three) == 3
        got = three.run_features(features, batch_size=4)

    for first, second in zip(expected, got, strict=True):
        np.testing.assert_array_equal(first["logits"], second["logits"])


@given(
    st.lists(st.integers(1, 60), max_size=40),
    st.integers(1, 9),
    st.booleans(),
    st.integers(1, 200),
)
def test_batches_hold_every_text_once_and_no_more_than_they_may(
    lengths: list[int], batch_size: int, sort_by_length: bool, token_budget: int
) -> None:
    batches = batches_of(
        lengths,
        batch_size=batch_size,
        sort_by_length=sort_by_length,
        token_budget=token_budget,
    )

    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    sizes = [len(batch) * max(lengths[i] for i in batch) for batch in batches]
    assert all(len(batch) <= batch_size for batch in batches)
    assert all(
        size <= token_budget or len(batch) == 1 for size, batch in zip(sizes, batches, strict=True)
    )
    if sort_by_length:
        assert [max(lengths[i] for i in batch) for batch in batches] == sorted(
            (max(lengths[i] for i in batch) for batch in batches), reverse=True
        )
