"""Texts and pairs of texts: one class, several classes, or a number.

- one class: the largest logit; its softmax probability is the score. Decided by accuracy.
- several classes: each whose sigmoid is 0.5 or more. Decided by micro F1.
- a number: the logit through an activation, the logit itself beside it. Decided by Pearson
  correlation.

A model with one output may be a cross-encoder, which tells how alike two texts are. Its activation
is the one that its files name (``config_sentence_transformers.json``, or in ``config.json``
``sentence_transformers.activation_fn`` or ``sbert_ce_default_activation_function``), else the
sigmoid, as `sentence_transformers.CrossEncoder` and Transformers' pipeline have it. Where
``problem_type`` says that it is a regression, and no activation is named, the logit is the number.

Source: Sentence Transformers 6.2, ``cross_encoder/model.py``; Transformers,
``pipelines/text_classification.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.model_config import LONGEST, ModelConfig, labels_of
from bertcompress.errors import DataError, LoadError
from bertcompress.examples import Example, TextExample
from bertcompress.tasks.activations import ACTIVATIONS
from bertcompress.tasks.base import (
    Arrays,
    ClassScore,
    Feature,
    LabelKind,
    Prediction,
    Score,
    Tokenizer,
)
from bertcompress.tasks.cross_encoder import read_cross_encoder
from bertcompress.tasks.encoding import encode_texts, lowercased, pairs_of
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
from bertcompress.tasks.transformer_settings import TransformerSettings

Problem = Literal["single_label_classification", "multi_label_classification", "regression"]
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
_NO_FILES: Mapping[str, bytes] = {}


@dataclass(frozen=True)
class TextClassification:
    """Classifies texts, or gives them a number.

    Attributes:
        labels: The class names in the order of the model's outputs; one for regression.
        problem: In the words of Transformers' ``problem_type``.
        activation: What a cross-encoder's logit goes through, a key of
            `bertcompress.tasks.activations.ACTIVATIONS`; None where the logit is the number.
        texts: What a cross-encoder does to the texts.
    """

    labels: tuple[str, ...]
    problem: Problem = "single_label_classification"
    activation: str | None = None
    texts: TransformerSettings = field(default_factory=lambda: TransformerSettings(LONGEST))

    name = "text-classification"
    output_names = ("logits",)

    @classmethod
    def from_config(cls, config: ModelConfig, files: Mapping[str, bytes] = _NO_FILES) -> Self:
        """Returns the task of a model; a single output is a number.

        Args:
            config: The model's configuration.
            files: Its side files, which cross-encoders have.

        Raises:
            LoadError: The problem is not known, a regression has several outputs, or a
                cross-encoder asks for what is not known.
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
            encoder = read_cross_encoder(config, files)
            return cls(labels, "regression", encoder.activation, encoder.texts)
        return cls(labels, problem)

    @property
    def primary_metric(self) -> str:
        """Accuracy, micro F1 or Pearson correlation."""
        return _PRIMARY[self.problem]

    @property
    def max_length(self) -> int | None:
        """Where texts are cut, tokens; None for a cross-encoder whose files do not say it."""
        return self.texts.max_length

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
        if self.texts.lower_case:
            tokenizer = lowercased(tokenizer)
        firsts = [self.texts.prompt + text.text for text in texts]
        rows = encode_texts(tokenizer, firsts, pairs_of(texts), max_length=max_length)
        numbers = {label: number for number, label in enumerate(self.labels)}
        return [
            Feature(position, row.inputs, self._targets(text, numbers), is_cut=row.is_cut)
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
            if self.activation is None:
                return [Prediction(float(row[0])) for row in logits]
            values = ACTIVATIONS[self.activation](logits[:, 0])
            return [
                Prediction(float(value), None, {"logit": float(logit)})
                for value, logit in zip(values, logits[:, 0], strict=True)
            ]
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
            return {"id": example.id, "value": prediction.answer, **prediction.details}
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
