"""What a task is: the one place that knows a job's columns, encoding, metric and answer format.

A task turns examples into **features** (token arrays, one or more an example), gives the gold
targets in the form that Transformers models take, and turns the model's output arrays back into
**predictions**, which it can score and print. Models, runtimes and passes know only features and
output arrays; so a new task is one new file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bertcompress.examples import Example

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
Arrays = Mapping[str, NDArray[np.generic]]

LabelKind = Literal["auto", "class", "multi", "number"]
"""What a task's labels are, in the words of `bertcompress.data.load_dataset`."""


@dataclass(frozen=True)
class Feature:
    """One row of the model's input, not padded.

    Attributes:
        example_index: The position of its example in the sequence that was encoded.
        inputs: ``input_ids``, ``attention_mask``, ``token_type_ids``: int64 ``[length]``.
        targets: Gold values in the names that Transformers models take (``labels``,
            ``start_positions``, ``end_positions``); empty when the example has no answer.
            Per-token targets have shape ``[length]``, the others are scalars or ``[labels]``.
        word_ids: For each token its word's index, or -1 (token classification).
        offsets: For each token its character span in the context, int64 ``[length, 2]``, or -1
            outside the context (question answering); in the text that was not split into words
            (token classification).
        is_cut: Whether the end of a longer text is missing.
        prompt: How many tokens at the start are a prompt's that the answer leaves out.
    """

    example_index: int
    inputs: Mapping[str, IntArray]
    targets: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    word_ids: IntArray | None = None
    offsets: IntArray | None = None
    is_cut: bool = False
    prompt: int = 0

    @property
    def length(self) -> int:
        """The number of tokens."""
        return int(self.inputs["input_ids"].shape[0])


@dataclass(frozen=True)
class Prediction:
    """What the model answers to one example.

    Attributes:
        answer: The part that agreement is judged by: a class name, a tuple of class names, a
            number, a tuple of tags, a span's text; for embeddings the vector, float32 ``[hidden]``
            or ``[2, hidden]`` for a pair.
        score: The answer's probability or score, 0..1 where the task has one.
        details: What else belongs in the printed answer (all class scores, entities, span).
    """

    answer: object
    score: float | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one class (0..1) and its number of gold examples."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Score:
    """A task's metrics over a data set.

    Attributes:
        primary: The name of the metric that gates and plots use.
        values: All metrics by name, 0..1 unless the name says otherwise.
        per_class: For classification and entities, the figures of each class.
        count: The number of examples scored.
        correct: For each example 1.0 if right, 0.0 if wrong, or a partial score (span F1); what
            paired comparisons and intervals are computed from.
        notes: How the labels were read, a sentence each, for the reader of the figures.
    """

    primary: str
    values: Mapping[str, float]
    per_class: Mapping[str, ClassScore]
    count: int
    correct: tuple[float, ...]
    notes: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """The primary metric's value."""
        return self.values[self.primary]


class Tokenizer(Protocol):
    """The part of a fast Transformers tokenizer that tasks use."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Encodes texts, as ``PreTrainedTokenizerFast.__call__`` does."""
        ...


class Task(Protocol):
    """A job that an encoder does; see the module's docstring."""

    @property
    def name(self) -> str:
        """The Transformers pipeline name."""
        ...

    @property
    def primary_metric(self) -> str:
        """The name of the metric that decides."""
        ...

    @property
    def max_length(self) -> int | None:
        """Where longer texts are cut unless it is asked for; None for what the model takes."""
        ...

    @property
    def label_kind(self) -> LabelKind:
        """How the labels of this task's data have to be read."""
        ...

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the graph's outputs, as Optimum's ORTModel classes expect them."""
        ...

    def check(self, examples: Sequence[Example]) -> None:
        """Fails with a DataError where the examples do not fit the task or the model's labels."""
        ...

    def encode(
        self, tokenizer: Tokenizer, examples: Sequence[Example], *, max_length: int
    ) -> list[Feature]:
        """Tokenizes the examples, in order; with targets where the examples have answers."""
        ...

    def predict(
        self, outputs: Sequence[Arrays], features: Sequence[Feature], examples: Sequence[Example]
    ) -> list[Prediction]:
        """Turns each feature's outputs (no batch axis, no padding) into one answer an example."""
        ...

    def score(
        self,
        predictions: Sequence[Prediction],
        examples: Sequence[Example],
        *,
        reference: Sequence[Prediction] | None = None,
    ) -> Score:
        """Computes the metrics; embeddings are compared with the original model's (`reference`)."""
        ...

    def to_json(self, example: Example, prediction: Prediction) -> dict[str, object]:
        """Returns the answer as it is printed and served."""
        ...


def pad(
    features: Sequence[Feature], *, pad_token_id: int, multiple: int = 1
) -> dict[str, IntArray]:
    """Stacks features into one batch, padded on the right to the longest.

    Args:
        features: At least one.
        pad_token_id: The tokenizer's padding token.
        multiple: Rounds the length up to a multiple of this.

    Returns:
        What the features have, int64 ``[batch, sequence]`` each.
    """
    longest = max(feature.length for feature in features)
    length = -(-longest // multiple) * multiple
    batch: dict[str, IntArray] = {}
    for name in features[0].inputs:
        fill = pad_token_id if name == "input_ids" else 0
        rows = np.full((len(features), length), fill, dtype=np.int64)
        for row, feature in enumerate(features):
            rows[row, : feature.length] = feature.inputs[name]
        batch[name] = rows
    return batch


def pad_targets(features: Sequence[Feature], *, length: int) -> dict[str, NDArray[np.generic]]:
    """Stacks the features' targets; per-token ones are padded with -100, which losses ignore."""
    targets: dict[str, NDArray[np.generic]] = {}
    for name in features[0].targets:
        rows = [np.asarray(feature.targets[name]) for feature in features]
        per_token = all(
            row.shape == (feature.length,) and feature.word_ids is not None
            for row, feature in zip(rows, features, strict=True)
        )
        if per_token:
            rows = [np.pad(row, (0, length - row.shape[0]), constant_values=-100) for row in rows]
        targets[name] = np.stack(rows)
    return targets
