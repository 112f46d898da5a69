"""The inputs that are timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.bench.variant import Subject
from bertcompress.bench.workload import (
    grid,
    load_workload,
    offline,
    part_of,
    sample_features,
    save_workload,
    single_stream,
)
from bertcompress.errors import DataError, UsageError


def test_sampling_is_repeatable_and_draws_all_before_any_twice(subject: Subject) -> None:
    features = subject.features

    drawn = sample_features(features, len(features), seed=1)

    assert {feature.example_index for feature in drawn} == set(range(len(features)))
    again = sample_features(features, len(features), seed=1)
    assert [f.example_index for f in again] == [f.example_index for f in drawn]
    assert len(sample_features(features, 130, seed=0)) == 130


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing to time"):
        sample_features([], 3, seed=0)
    with pytest.raises(DataError, match="no tokens"):
        grid([], batch_size=1, sequence_length=8, repeats=1)


def test_single_stream_keeps_the_lengths(subject: Subject) -> None:
    workload = single_stream(subject.features[:5], pad_token_id=0, name="own")

    assert workload.tokens == tuple(feature.length for feature in subject.features[:5])
    assert workload.sentences == (1,) * 5
    assert workload.padding_fraction == 0.0


def test_grid_rows_are_real_tokens_of_the_wanted_length(subject: Subject) -> None:
    known = {int(i) for f in subject.features for i in f.inputs["input_ids"]}

    workload = grid(subject.features, batch_size=2, sequence_length=16, repeats=40)

    assert {feed["input_ids"].shape for feed in workload.feeds} == {(2, 16)}
    assert all({int(i) for i in feed["input_ids"].ravel()} <= known for feed in workload.feeds)
    assert all((feed["input_ids"][:, 0] == 101).all() for feed in workload.feeds)
    assert all((feed["input_ids"][:, -1] == 102).all() for feed in workload.feeds)
    assert not np.array_equal(workload.feeds[0]["input_ids"], workload.feeds[1]["input_ids"])


def test_a_grid_length_without_room_for_text_is_refused(subject: Subject) -> None:
    with pytest.raises(UsageError, match="at least 3"):
        grid(subject.features, batch_size=1, sequence_length=2, repeats=1)


def test_offline_sorts_by_length_and_pads_little(subject: Subject) -> None:
    workload = offline(subject.features, batch_size=8, pad_token_id=0)

    widths = [feed["input_ids"].shape[1] for feed in workload.feeds]
    assert widths == sorted(widths)
    assert sum(workload.sentences) == len(subject.features)
    assert sum(workload.tokens) == sum(feature.length for feature in subject.features)
    assert 0.0 < workload.padding_fraction < 0.2


def test_a_saved_workload_loads_as_it_was(subject: Subject, tmp_path: Path) -> None:
    workload = offline(subject.features, batch_size=7, pad_token_id=0)

    save_workload(workload, tmp_path / "offline.npz")
    loaded = load_workload(tmp_path / "offline.npz")

    assert (loaded.name, loaded.batch_size) == (workload.name, 7)
    for one, two in zip(loaded.feeds, workload.feeds, strict=True):
        assert all(np.array_equal(one[name], two[name]) for name in two)


@given(st.integers(1, 50), st.integers(1, 12))
def test_blocks_cover_every_feed_once(count: int, parts: int) -> None:
    features = [object()] * count

    class Counted:
        feeds = features

    covered = [i for part in range(parts) for i in part_of(Counted(), part, parts)]  # type: ignore[arg-type]  # only feeds is read

    assert covered == list(range(count))
