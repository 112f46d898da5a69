"""Which columns are found, and when none is."""

from __future__ import annotations

import pytest

from bertcompress.data.guess_columns import question_columns, text_columns, token_columns
from bertcompress.data.table import Columns, ReadSettings, Record, RecordTable
from bertcompress.errors import DataError

TEXT = "text-classification"


def table(*columns: str) -> RecordTable:
    return RecordTable("t.csv", columns, (Record("t.csv:2", dict.fromkeys(columns, "x")),))


@pytest.mark.parametrize(
    ("columns", "text", "text_pair", "label"),
    [
        (("text", "label"), "text", None, "label"),
        (("id", "Utterance", "INTENT"), "Utterance", None, "INTENT"),
        (("review", "sentiment"), "review", None, "sentiment"),
        (("sentence1", "sentence2", "score"), "sentence1", "sentence2", "score"),
        (("premise", "hypothesis", "label"), "premise", "hypothesis", "label"),
        (("question1", "question2", "label"), "question1", "question2", "label"),
        (("question", "sentence", "label"), "question", "sentence", "label"),
    ],
)
def test_usual_names_are_found(
    columns: tuple[str, ...], text: str, text_pair: str | None, label: str
) -> None:
    chosen = text_columns(table(*columns), ReadSettings(TEXT))

    assert (chosen.text, chosen.text_pair, chosen.label) == (text, text_pair, label)
    assert f"text in {text!r} (--text)" in chosen.notes[0]
    assert f"label in {label!r} (--label)" in chosen.notes[0]


def test_named_columns_are_taken_in_any_case_and_not_noted() -> None:
    settings = ReadSettings(TEXT, Columns(text="BODY", label="y"))

    chosen = text_columns(table("title", "Body", "y", "label"), settings)

    assert (chosen.text, chosen.text_pair, chosen.label) == ("Body", None, "y")
    assert chosen.notes == ()


def test_a_named_pair_leaves_the_text_to_be_guessed() -> None:
    settings = ReadSettings(TEXT, Columns(text_pair="other"))

    chosen = text_columns(table("text", "other", "label"), settings)

    assert (chosen.text, chosen.text_pair) == ("text", "other")


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (("title", "description", "label"), "may hold the text: title, description .*type --text"),
        (
            ("text", "sentence1", "sentence2", "label"),
            "may hold the text: sentence1, sentence2, te",
        ),
        (("phrase", "label"), "no column with a usual name for a text; it has 2 columns: phrase, "),
        (("text", "label", "category"), "may be meant: label, category .*type --label NAME"),
        (("text", "kind"), "usual name for a label; it has 2 columns: text, kind; type --label"),
        (("text",), "usual name for a label; it has one column: text; type --label NAME"),
    ],
)
def test_nothing_or_several_is_an_error(columns: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        text_columns(table(*columns), ReadSettings(TEXT))


def test_a_named_column_that_is_missing_lists_the_others() -> None:
    settings = ReadSettings(TEXT, Columns(text="sentense"))

    with pytest.raises(
        DataError, match=r"--text sentense: t.csv has no such column, only sentence.*did you mean"
    ):
        text_columns(table("sentence", "label"), settings)


def test_a_label_is_not_needed_where_none_is_required() -> None:
    chosen = text_columns(table("text"), ReadSettings(TEXT, require_labels=False))

    assert chosen.label is None
    assert chosen.notes[1] == "no label column was found, so the examples are unlabelled"


def test_embeddings_take_a_label_only_for_pairs() -> None:
    settings = ReadSettings("feature-extraction")

    assert text_columns(table("text", "label"), settings).label is None
    assert text_columns(table("sentence1", "sentence2"), settings).label is None
    assert text_columns(table("sentence1", "sentence2", "score"), settings).label == "score"


def test_words_and_tags() -> None:
    chosen = token_columns(
        table("id", "tokens", "pos_tags", "ner_tags"), ReadSettings("token-classification")
    )

    assert (chosen.text, chosen.label) == ("tokens", "ner_tags")
    assert "words in 'tokens' (--text); tags in 'ner_tags' (--label)" in chosen.notes[0]


def test_words_without_tags() -> None:
    bare = table("tokens")

    with pytest.raises(DataError, match="for a list of tags; it has one column: tokens"):
        token_columns(bare, ReadSettings("token-classification"))
    settings = ReadSettings("token-classification", require_labels=False)
    assert token_columns(bare, settings).label is None


def test_questions() -> None:
    columns = question_columns(table("Question", "passage", "answers"), Columns(context="passage"))

    assert columns == ("Question", "passage", "answers")
    with pytest.raises(DataError, match=r"for the context; .* type --context NAME"):
        question_columns(table("question", "passage", "answers"), Columns())
