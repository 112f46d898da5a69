"""IOB1 to IOB2."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bertcompress.data.tag_scheme import is_iob, sentences_to_iob2, to_iob2

TAGS = st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), max_size=12)


@given(TAGS)
def test_every_inside_follows_its_own_entity(tags: list[str]) -> None:
    converted = to_iob2(tags)

    for before, after in zip(("O", *converted), converted, strict=False):
        assert not after.startswith("I-") or before[2:] == after[2:]


@given(TAGS)
def test_iob2_stays_as_it_is(tags: list[str]) -> None:
    once = to_iob2(tags)

    assert to_iob2(once) == once


def test_the_number_of_changes_is_noted() -> None:
    converted, notes = sentences_to_iob2([("I-A", "I-A", "B-A"), ("O", "I-B")])

    assert converted == [("B-A", "I-A", "B-A"), ("O", "B-B")]
    assert notes == (
        "the tags are IOB1 (entities open with I-); 2 of 5 were changed from I- to B- to make "
        "them IOB2",
    )


def test_iob2_gives_no_note() -> None:
    assert sentences_to_iob2([("B-A", "I-A", "O")]) == ([("B-A", "I-A", "O")], ())


def test_other_schemes_stay() -> None:
    assert not is_iob({"NN", "VB"})
    assert sentences_to_iob2([("S-A", "I-A", "E-A")]) == ([("S-A", "I-A", "E-A")], ())
