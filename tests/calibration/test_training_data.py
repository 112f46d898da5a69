"""Which examples calibration refuses."""

from __future__ import annotations

import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import UsageError
from bertcompress.examples import TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.ranges import Ranges
from bertcompress_calibration import calibrate_ranges
from bertcompress_calibration.training_data import check_training


def named(*ids: str) -> tuple[TextExample, ...]:
    return tuple(TextExample(one, "a film") for one in ids)


@pytest.mark.parametrize(
    "name",
    [
        *("test.tsv:17", "validation.csv:2", "dev.jsonl:5", "eng.testa:5", "eng.testb:1"),
        *("hf:glue/sst2/validation:3", "hf:glue/mnli/validation_matched:3", "my-test-set.csv:9"),
    ],
)
def test_evaluation_examples_are_refused_by_their_ids(name: str, tiny_model: OnnxModel) -> None:
    words = rf"examples of the (test|validation) split \({name}\), which accuracy is measured on"

    with pytest.raises(UsageError, match=words):
        check_training(named("train.tsv:1", name), None)
    with pytest.raises(UsageError, match="give it training data"):
        calibrate_ranges(tiny_model, Ranges(), Context(named(name)), seed=0)


@pytest.mark.parametrize("split", ["test", "validation", "dev", "validation_matched", "testb"])
def test_evaluation_splits_are_refused_by_their_names(split: str) -> None:
    with pytest.raises(UsageError, match=r"examples of the (test|validation) split, which"):
        check_training(named("reviews.csv:1"), split)


@pytest.mark.parametrize(
    ("ids", "split", "found"),
    [
        (("train.tsv:1", "train.tsv:2"), None, "train"),
        (("hf:someone/dev-reviews/train:1",), None, "train"),
        (("reviews.csv:1",), "train", "train"),
        (("reviews.csv:1",), "all", "all"),
        (("reviews.csv:1",), None, None),
        (("reviews/test/1.txt",), None, None),  # a class of that name
        (("contest.csv:1", "latest.csv:2"), None, None),
        (("random:1",), "random", "random"),
    ],
)
def test_what_the_table_will_say(
    ids: tuple[str, ...], split: str | None, found: str | None
) -> None:
    assert check_training(named(*ids), split) == found
