"""Entity figures by hand; tests/borders/test_entity_schemes.py compares them with seqeval's."""

from __future__ import annotations

import pytest

from bertcompress.data.tag_scheme import Entity, TagScheme, scheme_of
from bertcompress.tasks.entity_scores import (
    entity_scores,
    gold_scheme,
    scheme_notes,
    strict_entities,
)


def scheme(labels: str) -> TagScheme:
    found = scheme_of(labels.split())
    assert found is not None
    return found


def test_entities_are_compared_sentence_by_sentence() -> None:
    gold = [[Entity("PER", 0, 2), Entity("LOC", 3, 4)], [Entity("PER", 0, 1)]]
    answers = [[Entity("PER", 0, 2)], [Entity("PER", 0, 2), Entity("LOC", 3, 4)]]

    total, by_kind = entity_scores(gold, answers)

    assert (total.precision, total.recall) == (1 / 3, 1 / 3)
    assert (by_kind["PER"].f1, by_kind["LOC"].f1) == (0.5, 0.0)


def test_no_entity_on_either_side_is_no_score() -> None:
    total, by_kind = entity_scores([[]], [[]])

    assert (total.f1, by_kind) == (0.0, {})


@pytest.mark.parametrize(
    ("labels", "tags", "kept"),
    [
        ("O B-A I-A", "I-A B-A I-A O I-A", [(1, 3)]),
        ("O B-A I-A B-B I-B", "B-A I-B B-B", [(0, 1), (2, 3)]),
        ("O I-A B-A I-B", "I-A B-A O B-A", [(0, 1), (1, 2)]),
        ("O B-A I-A E-A S-A", "B-A I-A O S-A B-A E-A", [(3, 4), (4, 6)]),
        ("O B-A I-A L-A U-A", "B-A I-A O U-A B-A L-A", [(3, 4), (4, 6)]),
        ("O I-A E-A", "I-A E-A E-A I-A O", [(0, 2), (2, 3)]),
        ("O PER", "PER PER O PER", [(0, 2), (3, 4)]),
    ],
)
def test_strictly_an_entity_obeys_its_scheme(
    labels: str, tags: str, kept: list[tuple[int, int]]
) -> None:
    entities = strict_entities(scheme(labels), tags.split())

    assert [(entity.start, entity.end) for entity in entities] == kept


@pytest.mark.parametrize(
    ("labels", "gold", "name"),
    [
        ("O B-A I-A", ["O I-A"], "IOB2"),
        ("O B-A I-A B-B I-B E-A S-A", ["O B-A I-A"], "IOB2"),
        ("O B-A I-A B-B I-B E-A S-A", ["O I-A I-A B-A"], "IOB1"),
        ("O B-A I-A I-B", ["O B-A I-A"], "IOB2"),
        ("O B-A I-A I-B", ["O I-A B-A"], "IOB1"),
        ("O B-A I-A", ["U-A O"], "BILOU"),
        ("O B-A I-A", ["PER O"], "IO"),
        ("O B-A I-A", ["O O"], "IOB2"),
    ],
)
def test_the_scheme_of_gold_tags(labels: str, gold: list[str], name: str) -> None:
    found = gold_scheme(scheme(labels), labels.split(), [tuple(tags.split()) for tags in gold])

    assert found is not None
    assert found.name == name


def test_tags_that_are_no_entities_have_no_scheme() -> None:
    assert gold_scheme(scheme("O B-A I-A"), ("O", "B-A", "I-A"), [("NN", "VB")]) is None


def test_how_tags_were_read_is_told() -> None:
    assert scheme_notes(scheme("O B-A I-A"), scheme("O U-A"))[0].startswith(
        "the model's tags were read as IOB2 and the data's as BILOU; "
    )
    assert scheme_notes(scheme("O PER X"), scheme("O PER")) == (
        "the tags of the model and of the data were read as IO",
        "no tag opens an entity, so neighbouring words of one type are one entity",
        "labels that are no tags were read as O: X",
    )
