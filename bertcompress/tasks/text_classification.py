"""Texts and pairs of texts: one class, several classes, or a number.

- one class: the largest logit; its softmax probability is the score. Decided by accuracy.
- several classes: each whose sigmoid is 0.5 or more. Decided by micro F1.
- a number: the logit itself. Decided by Pearson correlation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.model_config import ModelConfig, Problem, labels_of
from bertcompress.errors import DataError, LoadError
from bertcompress.examples import Example, TextExample
from bertcompress.tasks.base import (
    Arrays,
    ClassScore,
    Feature,
    LabelKind,
    Prediction,
    Score,
    Tokenizer,
)
from bertcompress.tasks.encoding import encode_texts, pairs_of
from bertcompress.tasks.label_check import check_labels
from bertcompress.tasks.metrics import count_classes, macro, mean, micro, pearson, spearman
from bertcompress.tasks.outputs import (
    Floats,
    check_counts,
    examples_of,
    output_array,
    sigmoid,
    softmax,
)

Label = str | tuple[str, ...] | float

_PRIMARY: dict[Problem, str] = {
    "single_label_classification": "accuracy",
    "multi_label_classification": "f1_micro",
    "regression": "pearson",
}
_KINDS: dict[Problem, LabelKind] = {
    "single_label_classification": "class",
    "multi_label_classification": "multi",
    "regression": "number",
}
_LABEL_TYPES: dict[Problem, tuple[type, str]] = {
    "single_label_classification": (str, "one class name an example"),
    "multi_label_classification": (tuple, "a list of class names an example"),
    "regression": (float, "a number an example"),
}
_THRESHOLD = 0.5


@dataclass(frozen=True)
class TextClassification:
    """Classifies texts, or gives them a number.

    Attributes:
        labels: The class names in the order of the model's outputs; one for regression.
        problem: In the words of Transformers' ``problem_type``.
    """

    labels: tuple[str, ...]
    problem: Problem = "single_label_classification"

    name = "text-classification"
    output_names = ("logits",)

    @classmethod
    def from_config(cls, config: ModelConfig) -> Self:
        """Returns the task of a model; a single output means regression, as in Transformers.

        Raises:
            LoadError: The problem is not known, or a regression has several outputs.
        """
        labels = labels_of(config)
        problem = config.problem_type or "single_label_classification"
        if problem not in _PRIMARY:
            raise LoadError(
                f"config.json has problem_type {problem!r}, known are {', '.join(_PRIMARY)}; "
                "correct problem_type"
            )
        if problem == "regression" and len(labels) != 1:
            raise LoadError(
                f"config.json has problem_type 'regression' and {len(labels)} labels; only one "
                "number can be scored: correct problem_type or id2label"
            )
        if len(labels) == 1 and problem != "multi_label_classification":
            problem = "regression"
        return cls(labels, cast("Problem", problem))

    @property
    def primary_metric(self) -> str:
        """Accuracy, micro F1 or Pearson correlation."""
        return _PRIMARY[self.problem]

    @property
    def label_kind(self) -> LabelKind:
        """What the problem's labels are."""
        return _KINDS[self.problem]

    def check(self, examples: Sequence[Example]) -> None:
        """Fails where a label is of another kind than the problem, or not known to the model."""
        texts = examples_of(examples, TextExample, self.name)
        pairs_of(texts)
        wanted, words = _LABEL_TYPES[self.problem]
        for example in texts:
            if example.label is not None and not isinstance(example.label, wanted):
                raise DataError(
                    f"the model's problem is {self.problem}, which needs {words}, but {example.id} "
                    f"has {example.label!r}; load the data with --label-kind {self.label_kind}"
                )
        if self.problem != "regression":
            check_labels((name for text in texts for name in _classes(text.label)), self.labels)

    def encode(
        self, tokenizer: Tokenizer, examples: Sequence[Example], *, max_length: int
    ) -> list[Feature]:
        """Returns one feature an example; `labels` is its class, its classes or its number."""
        self.check(examples)
        texts = examples_of(examples, TextExample, self.name)
        rows = encode_texts(
            tokenizer, [text.text for text in texts], pairs_of(texts), max_length=max_length
        )
        numbers = {label: number for number, label in enumerate(self.labels)}
        return [
            Feature(position, row, self._targets(text, numbers))
            for position, (row, text) in enumerate(zip(rows, texts, strict=True))
        ]

    def predict(
        self, outputs: Sequence[Arrays], features: Sequence[Feature], examples: Sequence[Example]
    ) -> list[Prediction]:
        """Returns the class, the classes or the number of each example."""
        check_counts(outputs, features)
        if not outputs:
            return []
        shape = (len(self.labels),)
        logits = np.stack([output_array(one, "logits", shape=shape) for one in outputs])
        if self.problem == "regression":
            return [Prediction(float(row[0])) for row in logits]
        if self.problem == "multi_label_classification":
            return [self._several(row) for row in sigmoid(logits)]
        return [self._one(row) for row in softmax(logits)]

    def score(
        self,
        predictions: Sequence[Prediction],
        examples: Sequence[Example],
        *,
        reference: Sequence[Prediction] | None = None,
    ) -> Score:
        """Computes accuracy and macro figures, micro and macro F1, or correlations.

        Raises:
            DataError: There is no example, or one without a label.
        """
        gold = _gold(examples_of(examples, TextExample, self.name))
        answers = [cast("Label", prediction.answer) for prediction in predictions]
        if self.problem == "regression":
            return _score_numbers(_floats(gold), _floats(answers))
        right = [float(answer == label) for answer, label in zip(answers, gold, strict=True)]
        if self.problem == "multi_label_classification":
            right = [
                float(set(_classes(answer)) == set(_classes(label)))
                for answer, label in zip(answers, gold, strict=True)
            ]
        counts = count_classes(
            [frozenset(_classes(label)) for label in gold],
            [frozenset(_classes(answer)) for answer in answers],
            self.labels,
        )
        return Score(
            primary=self.primary_metric,
            values=(
                {"accuracy": mean(right), **_named(macro(counts), "macro")}
                if self.problem == "single_label_classification"
                else {
                    **_named(micro(counts), "micro"),
                    **_named(macro(counts), "macro"),
                    "subset_accuracy": mean(right),
                }
            ),
            per_class={label: count.score for label, count in counts.items()},
            count=len(gold),
            correct=tuple(right),
        )

    def to_json(self, example: Example, prediction: Prediction) -> dict[str, object]:
        """Returns id, answer and the probability of every class."""
        if self.problem == "regression":
            return {"id": example.id, "value": prediction.answer}
        if self.problem == "multi_label_classification":
            labels = list(cast("tuple[str, ...]", prediction.answer))
            return {"id": example.id, "labels": labels, **prediction.details}
        return {
            "id": example.id,
            "label": prediction.answer,
            "score": prediction.score,
            **prediction.details,
        }

    def _targets(
        self, example: TextExample, numbers: dict[str, int]
    ) -> dict[str, NDArray[np.generic]]:
        if example.label is None:
            return {}
        if self.problem == "regression":
            return {"labels": np.asarray(example.label, dtype=np.float32)}
        positions = [numbers[label] for label in _classes(example.label)]
        if self.problem == "single_label_classification":
            return {"labels": np.asarray(positions[0], dtype=np.int64)}
        hot = np.zeros(len(self.labels), dtype=np.float32)
        hot[positions] = 1.0
        return {"labels": hot}

    def _one(self, probabilities: Floats) -> Prediction:
        best = int(probabilities.argmax())
        return Prediction(
            self.labels[best], float(probabilities[best]), self._details(probabilities)
        )

    def _several(self, probabilities: Floats) -> Prediction:
        chosen = tuple(self.labels[at] for at in np.flatnonzero(probabilities >= _THRESHOLD))
        return Prediction(chosen, None, self._details(probabilities))

    def _details(self, probabilities: Floats) -> dict[str, object]:
        return {"scores": dict(zip(self.labels, probabilities.tolist(), strict=True))}


def _classes(label: Label | None) -> tuple[str, ...]:
    if isinstance(label, str):
        return (label,)
    return label if isinstance(label, tuple) else ()


def _gold(examples: Sequence[TextExample]) -> list[Label]:
    if not examples:
        raise DataError("there is no example to score; load a data set that has some")
    gold: list[Label] = []
    for example in examples:
        if example.label is None:
            raise DataError(
                f"{example.id} has no label, so it can't be scored; choose a labelled split"
            )
        gold.append(example.label)
    return gold


def _floats(labels: Sequence[Label]) -> Floats:
    return np.asarray(labels, dtype=np.float64)


def _score_numbers(gold: Floats, answers: Floats) -> Score:
    squares = (answers - gold) ** 2
    values = {
        "pearson": pearson(answers, gold),
        "spearman": spearman(answers, gold),
        "mse": float(squares.mean()),
    }
    return Score("pearson", values, {}, len(gold), tuple((-squares).tolist()))


def _named(score: ClassScore, suffix: str) -> dict[str, float]:
    return {
        f"precision_{suffix}": score.precision,
        f"recall_{suffix}": score.recall,
        f"f1_{suffix}": score.f1,
    }
