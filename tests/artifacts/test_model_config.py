"""What a configuration says about the task and its labels."""

from __future__ import annotations

import pytest
from transformers import BertConfig

from bertcompress.errors import LoadError
from bertcompress.tasks import labels_of, task_of


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("BertForSequenceClassification", "text-classification"),
        ("PrunedBertForSequenceClassification", "text-classification"),
        ("BertForTokenClassification", "token-classification"),
        ("BertForQuestionAnswering", "question-answering"),
        ("BertModel", "feature-extraction"),
        ("PrunedBertModel", "feature-extraction"),
    ],
)
def test_the_class_names_the_task(architecture: str, task: str) -> None:
    assert task_of(BertConfig(architectures=[architecture])) == task


@pytest.mark.parametrize(
    ("architectures", "found"),
    [
        (["BertForMaskedLM"], "BertForMaskedLM"),
        (["ModernBertForTokenClassification"], "ModernBertForTokenClassification"),
        (None, "no architecture"),
        (["BertModel", "BertForMaskedLM"], "BertModel, BertForMaskedLM"),
    ],
)
def test_other_classes_are_refused(architectures: list[str] | None, found: str) -> None:
    with pytest.raises(
        LoadError, match=f"names {found}; known are BertForSequenceClassification, BertForToken"
    ):
        task_of(BertConfig(architectures=architectures))


def test_labels_are_in_the_order_of_the_outputs() -> None:
    assert labels_of(BertConfig(id2label={1: "b", 0: "a"})) == ("a", "b")


@pytest.mark.parametrize(
    ("id2label", "sentence"),
    [
        ({0: "a", 2: "b"}, "must name the classes 0, 1, 2, … in id2label"),
        ({0: "a", 1: "a"}, "gives two classes one name in id2label: a, a"),
    ],
)
def test_unclear_labels_are_refused(id2label: dict[int, str], sentence: str) -> None:
    with pytest.raises(LoadError, match=sentence):
        labels_of(BertConfig(id2label=id2label))
