"""Schemes by their tags, entities out of tags and back, IOB1 to IOB2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.data.tag_scheme import (
    Entity,
    TagScheme,
    count_openings,
    scheme_of,
    sentences_to_iob2,
)

TYPED = ["O", *(f"{letter}-{kind}" for kind in ("PER", "LOC") for letter in "BI")]
TAGS = st.lists(st.sampled_from(TYPED), max_size=12)


def scheme(*labels: str) -> TagScheme:
    found = scheme_of(labels)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ("O B-PER I-PER", "IOB2"),
        ("O B-PER I-PER B-LOC", "IOB2"),
        ("B-LOC B-MISC I-LOC I-MISC I-PER O", "IOB1"),
        ("O I-PER I-LOC", "IO"),
        ("O PER LOC", "IO"),
        ("O art-music event-other", "IO"),
        ("O B-PER I-PER E-PER S-PER", "BIOES"),
        ("O S-PER", "BIOES"),
        ("O B-PER I-PER L-PER U-PER", "BILOU"),
        ("O B-PER M-PER E-PER S-PER", "BMES"),
        ("O I-PER E-PER", "IOE"),
        ("O PER-B PER-I", "IOB2"),
        ("O B_PER I_PER", "IOB2"),
        ("O B I", "IOB2"),
        ("B I O X", "IOB2"),
        ("O B I E S", "BIOES"),
    ],
)
def test_the_scheme_of_a_set(labels: str, name: str) -> None:
    assert scheme(*labels.split()).name == name


@pytest.mark.parametrize(
    "labels", ["NN VB", "O N V A P S E L U", "LABEL_0 LABEL_1", "O", "X [CLS] O", ""]
)
def test_other_sets_are_no_entities(labels: str) -> None:
    assert scheme_of(labels.split()) is None


def test_labels_that_are_no_tags_are_outside() -> None:
    found = scheme("O", "B-PER", "I-PER", "X", "[CLS]", "<pad>", "O-", "O-PER")

    assert found.no_tags == ("X", "[CLS]", "<pad>", "O-", "O-PER")
    assert found.entities(["B-PER", "X", "I-PER", "[CLS]", "O-", "O-PER"]) == (
        Entity("PER", 0, 1),
        Entity("PER", 2, 3),
    )


def test_a_bare_type_among_letters_is_an_entity_of_its_own() -> None:
    found = scheme("O", "B-PER", "I-PER", "PER", "DATE")

    assert [(one.kind, one.end) for one in found.entities(["B-PER", "PER", "PER", "DATE"])] == [
        ("PER", 1),
        ("PER (no letter)", 3),
        ("DATE", 4),
    ]


@pytest.mark.parametrize(
    "labels",
    [
        "O B-PER I-PER B-LOC I-LOC",
        "O B-PER I-PER E-PER S-PER B-LOC I-LOC E-LOC S-LOC",
        "O B-PER I-PER L-PER U-PER B-LOC I-LOC L-LOC U-LOC",
        "O B-PER M-PER E-PER S-PER B-LOC M-LOC E-LOC S-LOC",
        "O PER-B PER-I LOC-B LOC-I",
        "O I-PER E-PER I-LOC E-LOC",
    ],
)
@given(tags=TAGS)
def test_entities_written_in_a_scheme_are_read_again(labels: str, tags: list[str]) -> None:
    entities = scheme(*TYPED).entities(tags)
    other = scheme(*labels.split())

    written = other.written(entities, len(tags))

    assert len(written) == len(tags)
    assert other.entities(written) == entities


@given(TAGS)
def test_an_iob1_model_writes_its_own_tags(tags: list[str]) -> None:
    iob1 = scheme("O", "B-PER", "I-PER", "I-LOC")  # neighbours of type LOC become one

    written = iob1.written(scheme(*TYPED).entities(tags), len(tags))

    assert set(written) <= {"O", "B-PER", "I-PER", "I-LOC"}
    assert [tag[2:] for tag in written] == [tag[2:] for tag in tags]


@given(TAGS)
def test_every_inside_follows_its_own_entity(tags: list[str]) -> None:
    entities = scheme(*TYPED).entities(tags)

    converted = scheme(*TYPED).written(entities, len(tags))

    for before, after in zip(("O", *converted), converted, strict=False):
        assert not after.startswith("I-") or before[2:] == after[2:]


def test_openings_are_counted() -> None:
    assert count_openings(scheme(*TYPED), [("B-PER", "B-PER", "I-LOC"), ("O", "I-PER")]) == (1, 2)


def test_the_number_of_changes_is_noted() -> None:
    converted, notes = sentences_to_iob2([("I-A", "I-A", "B-A"), ("O", "I-B")])

    assert converted == [("B-A", "I-A", "B-A"), ("O", "B-B")]
    assert notes == (
        "the tags are IOB1 (entities open with I-); 2 of 5 were changed from I- to B- to make "
        "them IOB2",
    )


def test_iob2_gives_no_note() -> None:
    assert sentences_to_iob2([("B-A", "I-A", "O")]) == ([("B-A", "I-A", "O")], ())


def test_tags_of_neither_scheme_are_kept_and_told() -> None:
    mixed = [("B-A", "I-A"), ("O", "I-B")]

    converted, notes = sentences_to_iob2(mixed)

    assert converted == mixed
    assert "1 entities open with B- and 1 with I-" in notes[0]


@pytest.mark.parametrize(
    "tags", [("S-A", "B-A", "E-A"), ("NN", "VB"), ("PER", "O"), ("I-A", "E-A"), ("PER-I", "O")]
)
def test_other_schemes_stay(tags: tuple[str, ...]) -> None:
    assert sentences_to_iob2([tags]) == ([tags], ())
