"""Entity F1 is conlleval's and seqeval's, in every scheme, of model and data alike or not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, IOE2

from bertcompress.data import load_dataset
from bertcompress.data.tag_scheme import scheme_of
from bertcompress.errors import LabelMismatchError
from bertcompress.examples import TokenExample
from bertcompress.tasks import Prediction, TokenClassification
from bertcompress.tasks.base import Score

KINDS = ("PER", "LOC")
SCHEMES = {"IOB2": IOB2, "BIOES": IOBES, "BILOU": BILOU, "IOE": IOE2}
LETTERS = {"IOB2": "BI", "BIOES": "BIES", "BILOU": "BILU", "BMES": "BMES", "IOE": "IE"}
AS_SEQEVAL_READS = str.maketrans("LUMW", "ESIS")

Sentences = list[list[tuple[str, str]]]


def labels_of(name: str) -> tuple[str, ...]:
    return ("O", *(f"{letter}-{kind}" for kind in KINDS for letter in LETTERS[name]))


def sentences(labels: tuple[str, ...]) -> st.SearchStrategy[Sentences]:
    """Draws pairs of gold tag and answer; the first sentence has each label on both sides."""
    tag = st.sampled_from(labels)
    rows = st.lists(st.lists(st.tuples(tag, tag), min_size=1, max_size=9), max_size=6)
    return rows.map(lambda drawn: [[(label, label) for label in labels], *drawn])


def scored(labels: tuple[str, ...], rows: Sentences) -> Score:
    examples = [
        TokenExample(str(at), ("w",) * len(row), tuple(right for right, _ in row))
        for at, row in enumerate(rows)
    ]
    answers = [Prediction(tuple(answer for _, answer in row)) for row in rows]
    return TokenClassification(labels).score(answers, examples)


def both_sides(rows: Sentences) -> tuple[list[list[str]], list[list[str]]]:
    gold = [[right for right, _ in row] for row in rows]
    return gold, [[answer for _, answer in row] for row in rows]


def seqevals_f1(gold: list[list[str]], answers: list[list[str]], **how: Any) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what seqeval finds to be no tag
        return float(f1_score(gold, answers, zero_division=0, **how))


def in_seqevals_letters(tags: list[list[str]]) -> list[list[str]]:
    """Writes BILOU and BMES in the letters that seqeval's default mode knows."""
    return [[tag[0].translate(AS_SEQEVAL_READS) + tag[1:] for tag in row] for row in tags]


@pytest.mark.parametrize("name", LETTERS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_f1_is_seqevals_default(name: str, data: st.DataObject) -> None:
    rows = data.draw(sentences(labels_of(name)))
    gold, answers = (in_seqevals_letters(side) for side in both_sides(rows))

    score = scored(labels_of(name), rows)

    assert score.primary == "f1"
    assert score.value == pytest.approx(seqevals_f1(gold, answers))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = classification_report(gold, answers, output_dict=True, zero_division=0)
    for kind, found in score.per_class.items():
        row = report[kind]
        assert (found.precision, found.recall, found.f1, found.support) == pytest.approx(
            (row["precision"], row["recall"], row["f1-score"], row["support"])
        )


@pytest.mark.parametrize("name", SCHEMES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_strict_f1_is_seqevals_strict(name: str, data: st.DataObject) -> None:
    rows = data.draw(sentences(labels_of(name)))
    gold, answers = both_sides(rows)

    score = scored(labels_of(name), rows)

    theirs = seqevals_f1(gold, answers, mode="strict", scheme=SCHEMES[name])
    assert score.values["f1_strict"] == pytest.approx(theirs)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_iob1_model_is_scored_as_iob1(data: st.DataObject) -> None:
    labels = ("O", "B-LOC", "I-LOC", "I-PER")
    tag = st.sampled_from(labels)
    drawn = data.draw(st.lists(st.lists(tag, min_size=1, max_size=9), min_size=1, max_size=5))
    gold = [["O", "I-LOC", "B-LOC", "I-PER"] for _ in drawn]  # IOB1 as it should be
    rows = [
        list(zip(right, (row * 4)[:4], strict=True)) for right, row in zip(gold, drawn, strict=True)
    ]
    right, answers = both_sides(rows)

    score = scored(labels, rows)

    assert score.value == pytest.approx(seqevals_f1(right, answers))
    strict = seqevals_f1(right, answers, mode="strict", scheme=IOB1)
    assert score.values["f1_strict"] == pytest.approx(strict)


@pytest.mark.parametrize("suffixed", [False, True])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_letters_behind_types_and_letters_alone(suffixed: bool, data: st.DataObject) -> None:
    labels = ("O", "PER-B", "PER-I", "LOC-B", "LOC-I") if suffixed else ("O", "B", "I", "E", "S")
    rows = data.draw(sentences(labels))
    gold, answers = both_sides(rows)

    score = scored(labels, rows)

    assert score.value == pytest.approx(seqevals_f1(gold, answers, suffix=suffixed))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_types_without_letters(data: st.DataObject) -> None:
    rows = data.draw(sentences(("O", "person", "place")))
    gold, answers = both_sides(rows)

    assert scored(("O", "person", "place"), rows).value == pytest.approx(seqevals_f1(gold, answers))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_type_without_letter_among_tags(data: st.DataObject) -> None:
    labels = ("O", "B-PER", "I-PER", "PER", "DATE")
    rows = data.draw(sentences(labels))
    gold, answers = both_sides(rows)

    assert scored(labels, rows).value == pytest.approx(seqevals_f1(gold, answers))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_labels_that_are_no_tags_count_as_outside(data: st.DataObject) -> None:
    labels = (*labels_of("IOB2"), "X", "[CLS]", "[PAD]", "O-")
    rows = data.draw(sentences(labels))
    sides = both_sides(rows)
    gold, answers = (
        [["O" if tag[0] in "OX[" else tag for tag in row] for row in side] for side in sides
    )

    assert scored(labels, rows).value == pytest.approx(seqevals_f1(gold, answers))


@pytest.mark.parametrize("of_model", LETTERS)
@pytest.mark.parametrize("of_data", LETTERS)
def test_a_perfect_model_in_another_scheme_has_f1_1_and_an_empty_one_0(
    of_model: str, of_data: str
) -> None:
    plain = scheme_of(labels_of("IOB2"))
    model, data = scheme_of(labels_of(of_model)), scheme_of(labels_of(of_data))
    assert plain is not None
    assert model is not None
    assert data is not None
    tags = ["B-PER", "I-PER", "I-PER", "O", "B-LOC", "B-PER", "I-PER", "B-PER", "O"]
    entities = plain.entities(tags)
    gold = data.written(entities, len(tags))
    examples = [TokenExample("1", ("w",) * len(tags), gold)]
    task = TokenClassification(labels_of(of_model))

    perfect = task.score([Prediction(model.written(entities, len(tags)))], examples)
    empty = task.score([Prediction(("O",) * len(tags))], examples)

    figures = ("f1", "f1_strict", "precision", "recall")
    assert [perfect.values[name] for name in (*figures, "accuracy")] == [1.0] * 5
    assert [empty.values[name] for name in figures] == [0.0] * 4
    assert all(name in " ".join(perfect.notes) for name in (of_model, of_data))


def test_a_published_iob1_model_takes_the_conll_files(tmp_path: Path) -> None:
    file = tmp_path / "eng.testb"
    file.write_text(
        "Ada NNP I-NP I-PER\nLund NNP I-NP I-PER\nsaw VB I-VP O\nOslo NNP I-NP I-LOC\n\n"
        "Rome NNP I-NP I-LOC\nMilan NNP B-NP B-LOC\n"
    )
    task = TokenClassification(("B-LOC", "B-MISC", "I-LOC", "I-MISC", "I-PER", "O"))
    data = load_dataset(file, task=task.name)

    task.check(data.examples)
    score = task.score(
        [Prediction(("I-PER", "I-PER", "O", "I-LOC")), Prediction(("I-LOC", "B-LOC"))],
        data.examples,
    )

    assert (score.value, score.values["f1_strict"], score.values["accuracy"]) == (1.0, 1.0, 1.0)
    assert "IOB1" in data.notes[0]
    assert "read as IOB1 and the data's as IOB2" in score.notes[0]


def test_an_unknown_type_is_refused_with_both_sides() -> None:
    task = TokenClassification(labels_of("BIOES"))

    with pytest.raises(LabelMismatchError) as caught:
        task.check([TokenExample("1", ("w", "w"), ("B-PER", "B-DATE"))])

    assert "does not know: B-DATE; the data's labels are B-DATE, B-PER, the" in str(caught.value)


@pytest.mark.parametrize("name", ["IOB2", "BIOES", "BILOU"])
def test_what_predict_prints_is_what_is_scored(name: str, tokenizer: Any) -> None:
    task = TokenClassification(labels_of(name))
    draw = np.random.default_rng(3)
    examples = [
        TokenExample(str(at), ("good", "film", "is", "bad"), ("O",) * 4) for at in range(30)
    ]
    features = task.encode(tokenizer, examples, max_length=16)
    outputs = [{"logits": draw.normal(size=(f.length, len(task.labels)))} for f in features]

    predictions = task.predict(outputs, features, examples)

    printed = sum(len(cast("list[object]", row.details["entities"])) for row in predictions)
    answered = [
        TokenExample(row.id, row.words, cast("tuple[str, ...]", said.answer))
        for row, said in zip(examples, predictions, strict=True)
    ]
    as_gold = task.score(predictions, answered)
    assert as_gold.value == 1.0
    assert sum(found.support for found in as_gold.per_class.values()) == printed


@pytest.mark.shared
@pytest.mark.slow
def test_the_real_model_has_seqevals_f1(shared: Path, ok: Callable[..., str]) -> None:
    import json

    model, data = shared / "models" / "minilm-conll2003", shared / "data" / "conll2003"

    facts = json.loads(ok("evaluate", model, "--data", data, "--json"))

    assert (facts["metric"], round(facts["value"], 4)) == ("f1", 0.8652)
    assert round(facts["values"]["f1_strict"], 4) == 0.8710
