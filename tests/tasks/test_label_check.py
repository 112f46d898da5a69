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
        (["0", "1"], SENTIMENT, "type --label-map 0=negative,1=positive"),
        (["1"], SENTIMENT, "type --label-map 1=positive"),
        (["1", "2"], SENTIMENT, "type --label-map 1=negative,2=positive"),
        (["LABEL_0", "LABEL_1"], SENTIMENT, "--label-map LABEL_0=negative,LABEL_1=positive"),
        (["7"], SENTIMENT, "type --label-map OLD=NEW,OLD=NEW"),
        (["neg", "pos"], ("LABEL_0", "LABEL_1"), "only numbers: .*such as neg=LABEL_0,pos=LABEL_1"),
        (["positve"], SENTIMENT, "did you mean 'positive'. type --label-map positve=NAME"),
        (["angry"], SENTIMENT, "type --label-map angry=NAME to rename, or choose other data"),
    ],
)
def test_the_way_out_is_named(found: list[str], known: tuple[str, ...], hint: str) -> None:
    with pytest.raises(LabelMismatchError, match=hint):
        check_labels(found, known)


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
