"""Profiles from lengths: every text is held, without gap or overlap, timed at the mode."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.artifacts.engine_record import Profile, profile_for
from bertcompress.errors import UsageError
from bertcompress.passes.tensorrt.profiles import BATCHES, GOALS, Goal, engine_profiles

LENGTHS = st.lists(st.integers(1, 600), min_size=1, max_size=40)
CEILINGS = st.lists(st.integers(1, 700), min_size=1, max_size=6, unique=True).map(sorted)
GOAL = st.sampled_from(GOALS)


@given(lengths=LENGTHS, goal=GOAL)
def test_profiles_hold_the_traffic(lengths: list[int], goal: Goal) -> None:
    profiles = engine_profiles(lengths, goal=goal)
    for batch in (1,) if goal == "latency" else (1, 8, 9, 33, 128):
        for length in range(1, max(lengths) + 1):
            holding = [one for one in profiles if one.holds(batch, length)]
            assert len(holding) == 1
            assert profile_for(profiles, batch, length) == profiles.index(holding[0])


@given(lengths=LENGTHS, ceilings=CEILINGS, goal=GOAL)
def test_profiles_that_are_asked_for_hold_the_traffic_or_are_refused(
    lengths: list[int], ceilings: list[int], goal: Goal
) -> None:
    if max(lengths) > ceilings[-1]:
        with pytest.raises(UsageError, match=f"longer, up to {max(lengths)}"):
            engine_profiles(lengths, goal=goal, ceilings=ceilings)
        return
    profiles = engine_profiles(lengths, goal=goal, ceilings=ceilings)
    assert [one.most[1] for one in profiles[: len(ceilings)]] == ceilings
    assert all(any(one.holds(1, length) for one in profiles) for length in lengths)


@given(lengths=LENGTHS, goal=GOAL)
def test_each_profile_is_timed_at_its_most_frequent_shape(lengths: list[int], goal: Goal) -> None:
    counts = Counter(lengths)
    for one in engine_profiles(lengths, goal=goal):
        assert all(a <= b <= c for a, b, c in zip(one.least, one.opt, one.most, strict=True))
        inside = [length for length in counts if one.least[1] <= length <= one.most[1]]
        assert inside, "a bucket without texts is joined with the next"
        assert counts[one.opt[1]] == max(counts[length] for length in inside)
        assert one.opt[0] == one.most[0]


@given(lengths=LENGTHS, goal=GOAL, data=st.data())
def test_only_how_often_each_length_occurs_counts(
    lengths: list[int], goal: Goal, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(lengths))
    assert engine_profiles(shuffled, goal=goal) == engine_profiles(lengths, goal=goal)
    assert engine_profiles(lengths * 2, goal=goal) == engine_profiles(lengths, goal=goal)


@given(lengths=LENGTHS)
def test_length_buckets_follow_each_other(lengths: list[int]) -> None:
    profiles = engine_profiles(lengths, goal="latency")
    assert profiles[0].least == (1, 1)
    assert all(a.most[1] + 1 == b.least[1] for a, b in pairwise(profiles))
    assert {one.most[0] for one in profiles} == {1}


def test_no_profile_goes_beyond_the_model() -> None:
    [one] = engine_profiles([100], goal="latency", longest=120)
    assert one == Profile((1, 1), (1, 100), (1, 120))
    [one] = engine_profiles([100], goal="latency", longest=128)
    assert one.most == (1, 128)
    [*_, last] = engine_profiles([514], goal="latency")
    assert last.most == (1, 514)


def test_throughput_has_ranges_of_batches() -> None:
    profiles = engine_profiles([30], goal="throughput")
    assert [one.most for one in profiles] == [(batch, 32) for batch in BATCHES]
    assert [one.least[0] for one in profiles] == [1, 9, 33]
    [one] = engine_profiles([30], goal="latency", batches=[4])
    assert (one.least, one.opt, one.most) == ((1, 1), (4, 30), (4, 32))


def test_an_empty_bucket_that_was_asked_for_is_timed_at_its_ceiling() -> None:
    first, second = engine_profiles([3], goal="latency", ceilings=[8, 16])
    assert (first.opt, second.opt) == ((1, 3), (1, 16))


@pytest.mark.parametrize(
    ("ceilings", "message"),
    [([16, 16], "ascending, got 16,16"), ([0, 4], "1 or more"), ([8, 200], "the model's 128")],
)
def test_ceilings_that_can_not_be_meant(ceilings: list[int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        engine_profiles([2], goal="latency", ceilings=ceilings, longest=128)
