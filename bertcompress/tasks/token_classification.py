"""Words with tags: named entities, and any other tagging.

A word's first sub-token carries its tag; the others are -100 in training and are not read in
prediction. A word that was cut away by `max_length`, or that the tokenizer turns into nothing, is
answered with ``O`` and counted.

Entities are scored as seqeval does in its strict IOB2 mode: an entity counts when its type and both
ends agree, and one that does not open with ``B-`` is none.
Source: https://github.com/chakki-works/seqeval, which the tests compare with. Tags that are not
IOB2 (parts of speech) are scored a word at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self, cast

import numpy as np

from bertcompress.artifacts.model_config import LONGEST, ModelConfig, labels_of
from bertcompress.errors import DataError
from bertcompress.examples import Example, TokenExample
from bertcompress.tasks.base import (
    Arrays,
    ClassScore,
    Feature,
    IntArray,
    LabelKind,
    Prediction,
    Score,
    Tokenizer,
)
from bertcompress.tasks.encoding import check_length, input_rows
from bertcompress.tasks.label_check import check_labels
from bertcompress.tasks.metrics import Counts, count_classes, macro, mean, micro
from bertcompress.tasks.outputs import check_counts, examples_of, output_array, softmax

if TYPE_CHECKING:
    from transformers import BatchEncoding

OUTSIDE = "O"
IGNORED = -100
"""The target that Transformers' losses pass over."""

_Tags = tuple[str, ...]
_Span = tuple[str, int, int, int]
"""Type, number of the text, first word, word after the last."""


@dataclass(frozen=True)
class TokenClassification:
    """Tags words.

    Attributes:
        labels: The tags in the order of the model's outputs.
    """

    labels: tuple[str, ...]

    name = "token-classification"
    output_names = ("logits",)
    max_length: ClassVar[int | None] = LONGEST
    label_kind: ClassVar[LabelKind] = "class"

    @classmethod
    def from_config(cls, config: ModelConfig) -> Self:
        """Returns the task of a model."""
        return cls(labels_of(config))

    @property
    def has_entities(self) -> bool:
        """Whether the tags are IOB2."""
        iob = all(label == OUTSIDE or label.startswith(("B-", "I-")) for label in self.labels)
        return iob and any(label.startswith("B-") for label in self.labels)

    @property
    def primary_metric(self) -> str:
        """Entity F1 for IOB2 tags, else the share of right tags."""
        return "f1" if self.has_entities else "accuracy"

    def check(self, examples: Sequence[Example]) -> None:
        """Fails where a tag is not known to the model."""
        sentences = examples_of(examples, TokenExample, self.name)
        check_labels((tag for one in sentences for tag in one.tags or ()), self.labels)

    def encode(
        self, tokenizer: Tokenizer, examples: Sequence[Example], *, max_length: int
    ) -> list[Feature]:
        """Returns one feature a sentence, with `word_ids`; `labels` is int64 ``[length]``."""
        check_length(max_length)
        self.check(examples)
        sentences = examples_of(examples, TokenExample, self.name)
        if not sentences:
            return []
        words = [list(sentence.words) for sentence in sentences]
        answer = tokenizer(
            words,
            is_split_into_words=True,
            truncation=True,
            max_length=max_length,
            padding=False,
        )
        batch = cast("BatchEncoding", answer)
        numbers = {label: number for number, label in enumerate(self.labels)}
        features: list[Feature] = []
        for position, row in enumerate(input_rows(batch)):
            word_ids = np.asarray(
                [-1 if word is None else word for word in batch.word_ids(position)], dtype=np.int64
            )
            tags = sentences[position].tags
            targets = {} if tags is None else {"labels": _targets(word_ids, tags, numbers)}
            features.append(Feature(position, row, targets, word_ids=word_ids))
        return features

    def predict(
        self, outputs: Sequence[Arrays], features: Sequence[Feature], examples: Sequence[Example]
    ) -> list[Prediction]:
        """Returns a tag a word; the score is the mean probability of the tags that were read."""
        check_counts(outputs, features)
        sentences = examples_of(examples, TokenExample, self.name)
        return [
            self._tagged(output, feature, sentences[feature.example_index])
            for output, feature in zip(outputs, features, strict=True)
        ]

    def score(
        self,
        predictions: Sequence[Prediction],
        examples: Sequence[Example],
        *,
        reference: Sequence[Prediction] | None = None,
    ) -> Score:
        """Computes entity figures and the share of right tags.

        `correct` is each sentence's share of right tags; ``unseen_words`` counts the words that
        the model was not shown.

        Raises:
            DataError: There is no example, or one without tags.
        """
        gold = _gold(examples_of(examples, TokenExample, self.name))
        answers = [cast("_Tags", prediction.answer) for prediction in predictions]
        right = [_right(one, two) for one, two in zip(answers, gold, strict=True)]
        total = sum(len(tags) for tags in gold)
        unseen = sum(cast("int", one.details.get("unseen_words", 0)) for one in predictions)
        values = {"accuracy": sum(right) / total, "unseen_words": float(unseen)}
        figures, per_class = (
            _entity_scores(gold, answers) if self.has_entities else self._tag_scores(gold, answers)
        )
        shares = [hits / len(tags) for hits, tags in zip(right, gold, strict=True)]
        return Score(
            self.primary_metric, {**figures, **values}, per_class, len(gold), tuple(shares)
        )

    def to_json(self, example: Example, prediction: Prediction) -> dict[str, object]:
        """Returns id, words, tags, and the entities with their words."""
        words = list(example.words) if isinstance(example, TokenExample) else []
        return {
            "id": example.id,
            "words": words,
            "tags": list(cast("_Tags", prediction.answer)),
            "score": prediction.score,
            **prediction.details,
        }

    def _tagged(self, output: Arrays, feature: Feature, example: TokenExample) -> Prediction:
        logits = output_array(output, "logits", shape=(feature.length, len(self.labels)))
        word_ids = _word_ids(feature)
        first = _first_tokens(word_ids)
        probabilities = softmax(logits[first])
        tags = [OUTSIDE] * len(example.words)
        scores = [0.0] * len(example.words)
        best = probabilities.argmax(axis=-1)
        for row, word in enumerate(word_ids[first].tolist()):
            tags[word] = self.labels[best[row]]
            scores[word] = float(probabilities[row, best[row]])
        details: dict[str, object] = {"unseen_words": len(tags) - int(first.sum())}
        if self.has_entities:
            details["entities"] = entities_of(tags, example.words, scores)
        read = probabilities.max(axis=-1)
        return Prediction(tuple(tags), float(read.mean()) if read.size else None, details)

    def _tag_scores(
        self, gold: Sequence[_Tags], answers: Sequence[_Tags]
    ) -> tuple[dict[str, float], dict[str, ClassScore]]:
        counts = count_classes(
            [frozenset({tag}) for tags in gold for tag in tags],
            [frozenset({tag}) for tags in answers for tag in tags],
            tuple(dict.fromkeys((*self.labels, OUTSIDE))),
        )
        figures = {"f1_macro": macro(counts).f1}
        return figures, {label: count.score for label, count in counts.items()}


def entities_of(
    tags: Sequence[str], words: Sequence[str], scores: Sequence[float]
) -> list[dict[str, object]]:
    """Returns the entities as printed: type, text, first word, word after the last, mean score.

    An ``I-`` without its ``B-`` opens an entity here, as in Transformers' pipelines, although the
    strict score does not count it.
    """
    spans: list[tuple[str, int, int]] = []
    for position, tag in enumerate(tags):
        kind = tag[2:]
        if tag == OUTSIDE:
            continue
        if tag.startswith("I-") and spans and spans[-1][0] == kind and spans[-1][2] == position:
            spans[-1] = (kind, spans[-1][1], position + 1)
            continue
        spans.append((kind, position, position + 1))
    return [
        {
            "type": kind,
            "text": " ".join(words[start:end]),
            "start_word": start,
            "end_word": end,
            "score": mean(scores[start:end]),
        }
        for kind, start, end in spans
    ]


def _word_ids(feature: Feature) -> IntArray:
    if feature.word_ids is None:
        raise DataError(
            f"feature of example {feature.example_index} has no word ids; encode it with the "
            "token-classification task"
        )
    return feature.word_ids


def _first_tokens(word_ids: IntArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Returns which tokens open a word, bool ``[length]``."""
    before = np.concatenate([np.asarray([-1], dtype=np.int64), word_ids[:-1]])
    opens: np.ndarray[tuple[int], np.dtype[np.bool_]] = (word_ids >= 0) & (word_ids != before)
    return opens


def _targets(word_ids: IntArray, tags: _Tags, numbers: dict[str, int]) -> IntArray:
    targets = np.full(word_ids.shape, IGNORED, dtype=np.int64)
    first = _first_tokens(word_ids)
    targets[first] = [numbers[tags[word]] for word in word_ids[first].tolist()]
    return targets


def _gold(examples: Sequence[TokenExample]) -> list[_Tags]:
    if not examples:
        raise DataError("there is no example to score; load a data set that has some")
    gold: list[_Tags] = []
    for example in examples:
        if not example.tags:
            raise DataError(f"{example.id} has no tags, so it can't be scored; choose other data")
        gold.append(example.tags)
    return gold


def _right(answer: _Tags, gold: _Tags) -> int:
    return sum(one == two for one, two in zip(answer, gold, strict=True))


def _entity_scores(
    gold: Sequence[_Tags], answers: Sequence[_Tags]
) -> tuple[dict[str, float], dict[str, ClassScore]]:
    """Returns precision, recall and F1 over all entities, and the scores of each type."""
    gold_spans, answered = _strict_spans(gold), _strict_spans(answers)
    kinds = sorted({kind for kind, _, _, _ in gold_spans | answered})
    counts = {
        kind: _span_counts(
            {span for span in gold_spans if span[0] == kind},
            {span for span in answered if span[0] == kind},
        )
        for kind in kinds
    }
    total = micro(counts)
    figures = {"f1": total.f1, "precision": total.precision, "recall": total.recall}
    return figures, {kind: count.score for kind, count in counts.items()}


def _span_counts(gold: set[_Span], answered: set[_Span]) -> Counts:
    return Counts(len(gold & answered), len(answered - gold), len(gold - answered))


def _strict_spans(tagged: Sequence[_Tags]) -> set[_Span]:
    """Returns the entities of all texts: each opens with ``B-`` and goes on with its own ``I-``.

    >>> sorted(_strict_spans([("B-PER", "I-PER", "I-ORG", "O", "I-PER", "B-PER")]))
    [('PER', 0, 0, 2), ('PER', 0, 5, 6)]
    """
    spans: set[_Span] = set()
    for text, tags in enumerate(tagged):
        for start, tag in enumerate(tags):
            if not tag.startswith("B-"):
                continue
            end = start + 1
            while end < len(tags) and tags[end] == f"I-{tag[2:]}":
                end += 1
            spans.add((tag[2:], text, start, end))
    return spans
