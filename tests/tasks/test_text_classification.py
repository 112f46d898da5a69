"""One class, several classes, a number."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoConfig, PreTrainedTokenizerFast

from bertcompress.data import load_dataset
from bertcompress.errors import DataError, LabelMismatchError, LoadError, RunError
from bertcompress.examples import TextExample, TokenExample
from bertcompress.tasks import Feature, Prediction, TextClassification, make_task

ONE = TextClassification(("neg", "pos"))
SEVERAL = TextClassification(("a", "b", "c"), "multi_label_classification")
NUMBER = TextClassification(("LABEL_0",), "regression")


@dataclass(frozen=True)
class Config:
    num_labels: int
    problem_type: str | None
    architectures: tuple[str, ...] = ("BertForSequenceClassification",)

    @property
    def id2label(self) -> dict[int, str]:
        return {number: f"LABEL_{number}" for number in range(self.num_labels)}


def feature(position: int) -> Feature:
    """Returns a feature whose content does not matter."""
    row = np.zeros(2, dtype=np.int64)
    inputs = {"input_ids": row, "attention_mask": row, "token_type_ids": row}
    return Feature(position, inputs)


def text(label: str | tuple[str, ...] | float | None = None, identity: str = "1") -> TextExample:
    return TextExample(identity, "good film", label=label)


@pytest.mark.parametrize(
    ("count", "problem_type", "expected"),
    [
        (2, None, "single_label_classification"),
        (1, None, "regression"),
        (1, "regression", "regression"),
        (3, "multi_label_classification", "multi_label_classification"),
        (1, "multi_label_classification", "multi_label_classification"),
    ],
)
def test_the_problem_is_that_of_the_configuration(
    count: int, problem_type: str | None, expected: str
) -> None:
    assert TextClassification.from_config(Config(count, problem_type)).problem == expected


def test_several_numbers_are_refused() -> None:
    with pytest.raises(LoadError, match="problem_type 'regression' and 2 labels; only one number"):
        TextClassification.from_config(Config(2, "regression"))


def test_an_unknown_problem_is_refused() -> None:
    with pytest.raises(LoadError, match="has problem_type 'ranking', known are single_label"):
        TextClassification.from_config(Config(2, "ranking"))


def test_each_problem_has_its_metric_and_label_kind() -> None:
    assert [task.primary_metric for task in (ONE, SEVERAL, NUMBER)] == [
        "accuracy",
        "f1_micro",
        "pearson",
    ]
    assert [task.label_kind for task in (ONE, SEVERAL, NUMBER)] == ["class", "multi", "number"]


def test_features_carry_their_targets(tokenizer: PreTrainedTokenizerFast) -> None:
    for task, label, expected in (
        (ONE, "pos", 1),
        (SEVERAL, ("a", "c"), [1.0, 0.0, 1.0]),
        (SEVERAL, (), [0.0, 0.0, 0.0]),
        (NUMBER, 3.5, 3.5),
    ):
        features = task.encode(tokenizer, [text(label)], max_length=8)
        assert features[0].targets["labels"].tolist() == expected
        assert features[0].length == 4
    assert not ONE.encode(tokenizer, [text()], max_length=8)[0].targets


def test_pairs_are_encoded_together(tokenizer: PreTrainedTokenizerFast) -> None:
    pair = TextExample("1", "good", "bad film")

    pieces = ONE.encode(tokenizer, [pair], max_length=8)[0]

    assert pieces.inputs["token_type_ids"].tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("task", "label", "sentence"),
    [
        (ONE, 3.8, "needs one class name an example, but 1 has 3.8; .* --label-kind class"),
        (ONE, ("neg",), "needs one class name an example, but 1 has"),
        (SEVERAL, "a", "needs a list of class names an example, .*--label-kind multi"),
        (NUMBER, "3", "regression, which needs a number an example, but 1 has '3'.*kind number"),
    ],
)
def test_labels_of_another_kind_are_refused(
    task: TextClassification, label: str | tuple[str, ...] | float, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        task.check([text(label)])


def test_unknown_labels_and_other_examples_are_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(LabelMismatchError, match="0, 1, the model's are neg, pos; the data's"):
        ONE.encode(tokenizer, [text("0"), text("1")], max_length=8)
    with pytest.raises(DataError, match="text-classification needs TextExample"):
        ONE.check([TokenExample("1", ("a",))])


def test_one_class_by_hand(tokenizer: PreTrainedTokenizerFast) -> None:
    examples = [text("pos"), text("pos"), text("neg"), text("neg")]
    features = ONE.encode(tokenizer, examples, max_length=8)
    logits = [(0.0, np.log(3.0)), (1.0, 0.0), (2.0, 0.0), (0.0, 1.0)]
    outputs = [{"logits": np.asarray(row, dtype=np.float32)} for row in logits]

    answers = ONE.predict(outputs, features, examples)
    score = ONE.score(answers, examples)

    assert [answer.answer for answer in answers] == ["pos", "neg", "neg", "pos"]
    assert answers[0].score == pytest.approx(0.75)
    assert score.value == score.values["accuracy"] == score.values["f1_macro"] == 0.5
    assert score.correct == (1.0, 0.0, 1.0, 0.0)
    assert score.per_class["pos"].support == 2
    printed = json.loads(json.dumps(ONE.to_json(examples[0], answers[0])))
    assert printed["label"] == "pos"
    assert printed["scores"]["neg"] == pytest.approx(0.25)


def test_several_classes_by_hand() -> None:
    examples = [text(("a", "b")), text(("c",)), text(())]
    logits = [(1.0, 0.0, -1.0), (1.0, -1.0, -1.0), (-1.0, -1.0, -1.0)]
    features = [feature(at) for at in range(3)]

    answers = SEVERAL.predict([{"logits": np.asarray(row)} for row in logits], features, examples)
    score = SEVERAL.score(answers, examples)

    assert [answer.answer for answer in answers] == [("a", "b"), ("a",), ()]
    assert score.values["precision_micro"] == pytest.approx(2 / 3)
    assert score.values["recall_micro"] == pytest.approx(2 / 3)
    assert score.value == score.values["f1_micro"] == pytest.approx(2 / 3)
    assert score.values["f1_macro"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert score.values["subset_accuracy"] == pytest.approx(2 / 3)
    assert score.correct == (1.0, 0.0, 1.0)
    printed = json.loads(json.dumps(SEVERAL.to_json(examples[0], answers[0])))
    assert printed["labels"] == ["a", "b"]


def test_the_order_of_several_labels_does_not_matter() -> None:
    assert SEVERAL.score([Prediction(("a", "b"))], [text(("b", "a"))]).correct == (1.0,)


def test_numbers_by_hand() -> None:
    examples = [text(1.0), text(2.0), text(3.0)]
    features = [feature(at) for at in range(3)]
    outputs = [{"logits": np.asarray([value])} for value in (1.0, 3.0, 4.0)]

    answers = NUMBER.predict(outputs, features, examples)
    score = NUMBER.score(answers, examples)

    assert score.values["spearman"] == pytest.approx(1.0)
    assert score.value == pytest.approx(3 / (2 * 14 / 3) ** 0.5)
    assert score.values["mse"] == pytest.approx(2 / 3)
    assert score.correct == (0.0, -1.0, -1.0)
    assert NUMBER.to_json(examples[0], answers[0]) == {"id": "1", "value": 1.0}


def test_nothing_gives_nothing(tokenizer: PreTrainedTokenizerFast) -> None:
    assert ONE.encode(tokenizer, [], max_length=8) == []
    assert ONE.predict([], [], []) == []
    with pytest.raises(DataError, match="there is no example to score"):
        ONE.score([], [])


def test_an_unlabelled_example_is_not_scored() -> None:
    with pytest.raises(DataError, match="x:3 has no label, so it can't be scored"):
        ONE.score([Prediction("pos")], [text(identity="x:3")])


def test_a_head_of_another_size_is_refused() -> None:
    with pytest.raises(RunError, match=r"needs 'logits' of shape \(2,\), the model gave \(3,\)"):
        ONE.predict([{"logits": np.zeros(3)}], [feature(0)], [text("pos")])


@pytest.mark.shared
def test_real_data_fits_the_real_model(shared: Path) -> None:
    task = make_task(
        "text-classification", AutoConfig.from_pretrained(shared / "models" / "minilm-sst2")
    )

    task.check(load_dataset(shared / "data" / "sst2", task=task.name).examples)
    with pytest.raises(LabelMismatchError, match=r"the data's labels are .* and 57 more"):
        task.check(load_dataset(shared / "data" / "banking77", task=task.name).examples)
