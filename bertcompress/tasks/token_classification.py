"""Words with tags: named entities, and any other tagging.

A word's first sub-token carries its tag; the others are -100 in training and are not read in
prediction. A word that was cut away by `max_length`, or that the tokenizer turns into nothing, is
answered with ``O`` and counted. A text that is not split yet is split by the tokenizer, see
`bertcompress.tasks.unsplit_text`.

Entities are read from tags in one way, by `bertcompress.data.tag_scheme`, whether they are printed
or scored; model and data may be in different schemes, each is read by its own. They are scored as
conlleval and seqeval do, with the strict figures beside, see `bertcompress.tasks.entity_scores`.
Tags that are no entities' (parts of speech) are scored a word at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self, cast

import numpy as np

from bertcompress.artifacts.model_config import LONGEST, ModelConfig, labels_of
from bertcompress.data.tag_scheme import OUTSIDE, Entity, Tags, TagScheme, scheme_of
from bertcompress.errors import DataError
from bertcompress.examples import Example, TokenExample, UnsplitExample
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
from bertcompress.tasks.encoding import check_length, encode_words
from bertcompress.tasks.entity_scores import (
    entity_scores,
    gold_scheme,
    scheme_notes,
    strict_entities,
)
from bertcompress.tasks.label_check import check_labels
from bertcompress.tasks.metrics import count_classes, macro, mean
from bertcompress.tasks.outputs import check_counts, examples_of, output_array, softmax
from bertcompress.tasks.unsplit_text import encode_unsplit, word_spans

IGNORED = -100
"""The target that Transformers' losses pass over."""


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

    @cached_property
    def scheme(self) -> TagScheme | None:
        """The scheme of the labels; None where they are not those of entities."""
        return scheme_of(self.labels)

    @property
    def primary_metric(self) -> str:
        """Entity F1 where the labels are entities', else the share of right tags."""
        return "accuracy" if self.scheme is None else "f1"

    def check(self, examples: Sequence[Example]) -> None:
        """Fails where a tag, or the type of entity that it is part of, is not the model's."""
        sentences = examples_of(examples, TokenExample, self.name)
        self._in_own_labels([sentence.tags or () for sentence in sentences])

    def encode(
        self, tokenizer: Tokenizer, examples: Sequence[Example], *, max_length: int
    ) -> list[Feature]:
        """Returns one feature a sentence, with `word_ids`; `labels` is int64 ``[length]``.

        Gold tags in another scheme than the model's are written in the model's.
        """
        check_length(max_length)
        sentences = examples_of(examples, TokenExample, self.name)
        gold = self._in_own_labels([sentence.tags or () for sentence in sentences])
        numbers = {label: number for number, label in enumerate(self.labels)}
        features: list[Feature] = []
        split = [at for at, row in enumerate(sentences) if not isinstance(row, UnsplitExample)]
        words = [sentences[at].words for at in split]
        encoded = encode_words(tokenizer, words, max_length=max_length)
        for at, row in zip(split, encoded, strict=True):
            tagged = sentences[at].tags is not None
            targets = {"labels": _targets(row.word_ids, gold[at], numbers)} if tagged else {}
            features.append(
                Feature(at, row.inputs, targets, word_ids=row.word_ids, is_cut=row.is_cut)
            )
        texts = {
            at: text.text for at, text in enumerate(sentences) if isinstance(text, UnsplitExample)
        }
        unsplit = encode_unsplit(tokenizer, [*texts.values()], max_length=max_length)
        for at, found in zip(texts, unsplit, strict=True):
            features.append(
                Feature(
                    at,
                    found.inputs,
                    word_ids=found.word_ids,
                    offsets=found.offsets,
                    is_cut=found.is_cut,
                )
            )
        return sorted(features, key=lambda feature: feature.example_index)

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
        answers = [cast("Tags", prediction.answer) for prediction in predictions]
        own = self._in_own_labels(gold)
        right = [_right(answer, tags) for answer, tags in zip(answers, own, strict=True)]
        total = sum(len(tags) for tags in gold)
        unseen = sum(cast("int", row.details.get("unseen_words", 0)) for row in predictions)
        values = {"accuracy": sum(right) / total, "unseen_words": float(unseen)}
        figures, per_class, notes = self._figures(gold, answers)
        shares = [hits / len(tags) for hits, tags in zip(right, gold, strict=True)]
        return Score(
            primary=self.primary_metric,
            values={**figures, **values},
            per_class=per_class,
            count=len(gold),
            correct=tuple(shares),
            notes=notes,
        )

    def to_json(self, example: Example, prediction: Prediction) -> dict[str, object]:
        """Returns id, words, tags, and the entities with their words."""
        words = list(example.words) if isinstance(example, TokenExample) else []
        return {
            "id": example.id,
            "words": words,
            "tags": list(cast("Tags", prediction.answer)),
            "score": prediction.score,
            **prediction.details,
        }

    def _in_own_labels(self, gold: Sequence[Tags]) -> list[Tags]:
        """Returns gold tags in the model's labels.

        Raises:
            LabelMismatchError: A tag, or the type of entity that it is part of, is not the model's.
        """
        present = {tag for tags in gold for tag in tags}
        scheme = self.scheme
        own = gold_scheme(scheme, self.labels, gold) if scheme is not None else None
        if scheme is None or own is None:
            check_labels(present, self.labels)
            return list(gold)
        named = {tag for tag, (_, kind) in own.parts.items() if kind in scheme.kinds}
        check_labels(present, self.labels, but={*named, *own.no_tags})
        if own.name == scheme.name and present <= set(self.labels):
            return list(gold)
        return [scheme.written(own.entities(tags), len(tags)) for tags in gold]

    def _figures(
        self, gold: Sequence[Tags], answers: Sequence[Tags]
    ) -> tuple[dict[str, float], dict[str, ClassScore], tuple[str, ...]]:
        scheme = self.scheme
        if scheme is None:
            return (*self._tag_scores(gold, answers), ())
        own = gold_scheme(scheme, self.labels, gold) or scheme
        total, per_class = entity_scores(
            [own.entities(tags) for tags in gold], [scheme.entities(tags) for tags in answers]
        )
        strict, _ = entity_scores(
            [strict_entities(own, tags) for tags in gold],
            [strict_entities(scheme, tags) for tags in answers],
        )
        figures = {
            "f1": total.f1,
            "precision": total.precision,
            "recall": total.recall,
            "f1_strict": strict.f1,
        }
        return figures, per_class, scheme_notes(scheme, own)

    def _tagged(self, output: Arrays, feature: Feature, example: TokenExample) -> Prediction:
        logits = output_array(output, "logits", shape=(feature.length, len(self.labels)))
        word_ids = _word_ids(feature)
        first = _first_tokens(word_ids)
        probabilities = softmax(logits[first])
        spans = _spans_of(feature, example)
        count = len(example.words) if spans is None else len(spans)
        tags, scores = [OUTSIDE] * count, [0.0] * count
        best = probabilities.argmax(axis=-1)
        for row, word in enumerate(word_ids[first].tolist()):
            tags[word] = self.labels[best[row]]
            scores[word] = float(probabilities[row, best[row]])
        details: dict[str, object] = {"unseen_words": count - int(first.sum())}
        if isinstance(example, UnsplitExample) and spans is not None:
            details["words"] = [example.text[start:end] for start, end in spans]
            rest = example.text[spans[-1][1] :] if spans else example.text
            details["unseen_words"] = len(rest.split())
        if self.scheme is not None:
            found = self.scheme.entities(tags)
            details["entities"] = [_printed(entity, example, spans, scores) for entity in found]
        read = probabilities.max(axis=-1)
        return Prediction(tuple(tags), float(read.mean()) if read.size else None, details)

    def _tag_scores(
        self, gold: Sequence[Tags], answers: Sequence[Tags]
    ) -> tuple[dict[str, float], dict[str, ClassScore]]:
        counts = count_classes(
            [frozenset({tag}) for tags in gold for tag in tags],
            [frozenset({tag}) for tags in answers for tag in tags],
            tuple(dict.fromkeys((*self.labels, OUTSIDE))),
        )
        figures = {"f1_macro": macro(counts).f1}
        return figures, {label: count.score for label, count in counts.items()}


def _printed(
    entity: Entity,
    example: TokenExample,
    spans: Sequence[tuple[int, int]] | None,
    scores: Sequence[float],
) -> dict[str, object]:
    """Returns an entity as printed: type, text, place in words and characters, mean score."""
    place: dict[str, object] = {"start_word": entity.start, "end_word": entity.end}
    text = " ".join(example.words[entity.start : entity.end])
    if isinstance(example, UnsplitExample) and spans is not None:
        start, end = spans[entity.start][0], spans[entity.end - 1][1]
        text, place = example.text[start:end], {**place, "start": start, "end": end}
    score = mean(scores[entity.start : entity.end])
    return {"type": entity.kind, "text": text, **place, "score": score}


def _spans_of(feature: Feature, example: TokenExample) -> list[tuple[int, int]] | None:
    """Returns the characters of each word of a text that came unsplit, else None."""
    if not isinstance(example, UnsplitExample) or feature.offsets is None:
        return None
    return word_spans(_word_ids(feature), feature.offsets)


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


def _targets(word_ids: IntArray, tags: Tags, numbers: dict[str, int]) -> IntArray:
    targets = np.full(word_ids.shape, IGNORED, dtype=np.int64)
    first = _first_tokens(word_ids)
    targets[first] = [numbers[tags[word]] for word in word_ids[first].tolist()]
    return targets


def _gold(examples: Sequence[TokenExample]) -> list[Tags]:
    if not examples:
        raise DataError("there is no example to score; load a data set that has some")
    gold: list[Tags] = []
    for example in examples:
        if not example.tags:
            raise DataError(f"{example.id} has no tags, so it can't be scored; choose other data")
        gold.append(example.tags)
    return gold


def _right(answer: Tags, gold: Tags) -> int:
    return sum(tag == right for tag, right in zip(answer, gold, strict=True))
