"""Labels of the data against those of the model."""

from __future__ import annotations

import pytest

from bertcompress.errors import LabelMismatchError
from bertcompress.tasks.label_check import check_labels

SENTIMENT = ("negative", "positive")


def test_labels_that_the_data_lacks_are_fine() -> None:
    check_labels(["positive"], SENTIMENT)
    check_labels([], SENTIMENT)


@pytest.mark.parametrize(
    ("found", "known", "hint"),
    [
        (["0", "1"], ("LABEL_0", "LABEL_1"), "type --label-map 0=LABEL_0,1=LABEL_1$"),
        (["LABEL_1"], ("0", "1"), "type --label-map LABEL_1=1$"),
        (["Positive"], SENTIMENT, "differ in spelling only: type --label-map Positive=positive$"),
        (["five  stars"], ("Five Stars",), "type --label-map 'five  stars=Five Stars'$"),
        (["positve"], SENTIMENT, "did you mean 'positive'. type --label-map positve=NAME"),
        (["angry"], SENTIMENT, "type --label-map angry=NAME to rename, or choose other data"),
    ],
)
def test_the_way_out_is_named(found: list[str], known: tuple[str, ...], hint: str) -> None:
    with pytest.raises(LabelMismatchError, match=hint):
        check_labels(found, known)


@pytest.mark.parametrize(
    ("found", "known", "side"),
    [
        (["0", "1"], SENTIMENT, "data"),
        (["1"], SENTIMENT, "data"),
        (["LABEL_0", "LABEL_1"], SENTIMENT, "data"),
        (["neg", "pos"], ("LABEL_0", "LABEL_1"), "model"),
        (["neg", "pos"], ("0", "1"), "model"),
    ],
)
def test_nothing_is_ready_to_paste_where_the_mapping_is_not_known(
    found: list[str], known: tuple[str, ...], side: str
) -> None:
    with pytest.raises(LabelMismatchError) as caught:
        check_labels(found, known)

    sentence = str(caught.value)
    assert f"the {side}'s labels are only numbers, and nothing here says what" in sentence
    assert not any(f"{old}={new}" in sentence for old in found for new in known)


def test_spellings_that_are_not_one_to_one_are_no_remedy() -> None:
    with pytest.raises(LabelMismatchError, match="type --label-map POS=NAME to rename"):
        check_labels(["POS"], ("pos", "Pos"))


def test_some_labels_may_be_unknown() -> None:
    check_labels(["O-", "positive"], SENTIMENT, but=["O-"])


def test_numbers_are_listed_in_natural_order() -> None:
    with pytest.raises(LabelMismatchError, match="know: 2, 10; the data's labels are 2, 10, the"):
        check_labels(["10", "2"], SENTIMENT)


def test_both_sides_are_listed() -> None:
    with pytest.raises(
        LabelMismatchError,
        match="does not know: fine; the data's labels are fine, positive, "
        "the model's are negative, positive; ",
    ):
        check_labels(["positive", "fine"], ("positive", "negative"))


def test_long_lists_are_cut() -> None:
    with pytest.raises(LabelMismatchError, match=r"intent_19, … and 57 more; the data's labels"):
        check_labels([f"intent_{at:02}" for at in range(77)], SENTIMENT)
