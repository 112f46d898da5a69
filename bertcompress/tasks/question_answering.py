"""Extractive question answering: a span of the context, found in overlapping windows.

A long context is cut into windows that overlap by 128 tokens, or by half of the room that the
longest question leaves where that is less. In each window the answer is the span with the largest
start logit + end logit among the 20 best starts and ends, with at most 30 tokens; over the windows
the best span wins. The *null score* is the least of the windows' scores at ``[CLS]``; where empty
answers are allowed (SQuAD v2.0) it wins over spans that score less.

Source: Devlin et al., "BERT", NAACL 2019, sections 4.2 and 4.3; metrics are those of the official
``evaluate-v2.0.py`` of https://rajpurkar.github.io/SQuAD-explorer/, which give the figures of
``evaluate-v1.1.py`` where every question has an answer. Values are 0..1, not percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self, cast

import numpy as np

from bertcompress.artifacts.model_config import LONGEST
from bertcompress.errors import DataError, UsageError
from bertcompress.examples import Answer, Example, QuestionExample
from bertcompress.tasks.base import (
    Arrays,
    Feature,
    IntArray,
    LabelKind,
    Prediction,
    Score,
    Tokenizer,
)
from bertcompress.tasks.encoding import check_length, check_pairs, input_rows
from bertcompress.tasks.metrics import mean
from bertcompress.tasks.outputs import check_counts, examples_of, output_array, softmax
from bertcompress.tasks.squad_metrics import exact_match, token_f1

if TYPE_CHECKING:
    from transformers import BatchEncoding

    from bertcompress.artifacts.model_config import ModelConfig

_LEAST_ROOM = 16


class _Span(NamedTuple):
    """A candidate: its score and its characters in the context (-1, -1: no answer)."""

    score: float
    start: int
    end: int


@dataclass(frozen=True)
class QuestionAnswering:
    """Finds answers in contexts.

    Attributes:
        stride: The tokens that neighbouring windows share.
        max_answer_tokens: The longest answer.
        best: The number of starts and of ends that are tried in a window.
        allow_empty: Whether "no answer" is an answer. None decides by the data: yes where some
            questions have answers and some have none.
    """

    stride: int = 128
    max_answer_tokens: int = 30
    best: int = 20
    allow_empty: bool | None = None

    name = "question-answering"
    primary_metric = "f1"
    output_names = ("start_logits", "end_logits")
    max_length: ClassVar[int | None] = LONGEST
    label_kind: ClassVar[LabelKind] = "auto"

    def __post_init__(self) -> None:
        for setting in ("stride", "max_answer_tokens", "best"):
            value = getattr(self, setting)
            if value < 1:
                raise UsageError(f"{setting} must be 1 or more, got {value}; leave it out")

    @classmethod
    def from_config(cls, config: ModelConfig) -> Self:
        """Returns the task of a model; its configuration says nothing that is needed."""
        return cls()

    def check(self, examples: Sequence[Example]) -> None:
        """Fails where an example is not a question."""
        examples_of(examples, QuestionExample, self.name)

    def encode(
        self, tokenizer: Tokenizer, examples: Sequence[Example], *, max_length: int
    ) -> list[Feature]:
        """Returns one feature a window, with `offsets`.

        `start_positions` and `end_positions` are token positions of the first answer, or 0 (the
        ``[CLS]`` token) where the window does not hold it whole.

        Raises:
            UsageError: A question leaves too little of `max_length` for its context.
        """
        check_length(max_length)
        questions = examples_of(examples, QuestionExample, self.name)
        if not questions:
            return []
        check_pairs(tokenizer)
        texts = [question.question.lstrip() for question in questions]
        room = _room(tokenizer, texts, questions, max_length)
        answer = tokenizer(
            texts,
            [question.context for question in questions],
            truncation="only_second",
            max_length=max_length,
            stride=min(self.stride, room // 2),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding=False,
        )
        batch = cast("BatchEncoding", answer)
        owners = cast("list[int]", batch["overflow_to_sample_mapping"])
        features: list[Feature] = []
        for row, inputs in enumerate(input_rows(batch)):
            owner = owners[row]
            offsets = _context_offsets(batch, row)
            start, end = _target(questions[owner].answers, offsets)
            targets = {
                "start_positions": np.asarray(start, dtype=np.int64),
                "end_positions": np.asarray(end, dtype=np.int64),
            }
            features.append(Feature(owner, inputs, targets, offsets=offsets))
        return features

    def predict(
        self, outputs: Sequence[Arrays], features: Sequence[Feature], examples: Sequence[Example]
    ) -> list[Prediction]:
        """Returns the best span of each question over all its windows."""
        check_counts(outputs, features)
        questions = examples_of(examples, QuestionExample, self.name)
        candidates: list[list[_Span]] = [[] for _ in questions]
        nulls = [np.inf] * len(questions)
        for output, feature in zip(outputs, features, strict=True):
            spans, null = self._search(output, feature)
            candidates[feature.example_index] += spans
            nulls[feature.example_index] = min(nulls[feature.example_index], null)
        empty = self._empty_allowed(questions)
        return [
            self._choose(question, spans, null if empty else None)
            for question, spans, null in zip(questions, candidates, nulls, strict=True)
        ]

    def score(
        self,
        predictions: Sequence[Prediction],
        examples: Sequence[Example],
        *,
        reference: Sequence[Prediction] | None = None,
    ) -> Score:
        """Computes exact match and F1, the best over a question's accepted answers.

        `correct` is the F1. Where some questions have no answer, the figures of both kinds are
        given too (``f1_answerable``, ``f1_unanswerable``).

        Raises:
            DataError: There is no example, or none has an answer.
        """
        questions = examples_of(examples, QuestionExample, self.name)
        if not any(question.answers for question in questions):
            raise DataError(
                f"none of {len(questions)} questions has an answer, so nothing can be scored; "
                "load a data set with answers"
            )
        gold = [[answer.text for answer in question.answers] for question in questions]
        texts = [cast("str", prediction.answer) for prediction in predictions]
        exact = [exact_match(text, right) for text, right in zip(texts, gold, strict=True)]
        f1 = [token_f1(text, right) for text, right in zip(texts, gold, strict=True)]
        values = {"f1": mean(f1), "exact_match": mean(exact)}
        if not all(gold):
            paired = list(zip(f1, gold, strict=True))
            values["f1_answerable"] = mean([value for value, right in paired if right])
            values["f1_unanswerable"] = mean([value for value, right in paired if not right])
        return Score(self.primary_metric, values, {}, len(gold), tuple(f1))

    def to_json(self, example: Example, prediction: Prediction) -> dict[str, object]:
        """Returns id, answer, score, and the answer's characters in the context."""
        return {
            "id": example.id,
            "answer": prediction.answer,
            "score": prediction.score,
            **prediction.details,
        }

    def _empty_allowed(self, questions: Sequence[QuestionExample]) -> bool:
        if self.allow_empty is not None:
            return self.allow_empty
        answered = [bool(question.answers) for question in questions]
        return any(answered) and not all(answered)

    def _search(self, output: Arrays, feature: Feature) -> tuple[list[_Span], float]:
        """Returns a window's best spans and its null score."""
        length = (feature.length,)
        start = output_array(output, "start_logits", shape=length)
        end = output_array(output, "end_logits", shape=length)
        offsets = _offsets(feature)
        inside = np.flatnonzero(offsets[:, 0] >= 0)
        starts = inside[np.argsort(-start[inside], kind="stable")[: self.best]]
        ends = inside[np.argsort(-end[inside], kind="stable")[: self.best]]
        lengths = ends[None, :] - starts[:, None] + 1  # [starts, ends]
        rows, columns = np.nonzero((lengths >= 1) & (lengths <= self.max_answer_tokens))
        scores = start[starts[rows]] + end[ends[columns]]
        order = np.argsort(-scores, kind="stable")[: self.best]
        spans = [
            _Span(
                float(scores[at]),
                int(offsets[starts[rows[at]], 0]),
                int(offsets[ends[columns[at]], 1]),
            )
            for at in order
        ]
        return spans, float(start[0] + end[0])

    def _choose(
        self, question: QuestionExample, spans: list[_Span], null: float | None
    ) -> Prediction:
        if null is not None or not spans:
            spans = [*spans, _Span(-np.inf if null is None else null, -1, -1)]
        ranked = sorted(spans, key=lambda span: -span.score)[: self.best]
        winner = ranked[0]
        if not np.isfinite(winner.score):
            return Prediction("", None, {"start": None, "end": None})
        probability = softmax(np.asarray([span.score for span in ranked]))[0]
        if winner.start < 0:
            return Prediction("", float(probability), {"start": None, "end": None})
        start, end = _trimmed(question.context, winner.start, winner.end)
        text = question.context[start:end]
        return Prediction(text, float(probability), {"start": start, "end": end})


def _room(
    tokenizer: Tokenizer, texts: list[str], questions: Sequence[QuestionExample], max_length: int
) -> int:
    """Returns the tokens that the longest question leaves for its context."""
    encoded = cast("BatchEncoding", tokenizer(texts, add_special_tokens=False, padding=False))
    empty = cast("BatchEncoding", tokenizer([""], [""], padding=False))
    special = len(cast("list[list[int]]", empty["input_ids"])[0])  # BERT has 3, RoBERTa has 4
    lengths = [len(ids) for ids in cast("list[list[int]]", encoded["input_ids"])]
    longest = max(lengths)
    room = max_length - longest - special
    if room < _LEAST_ROOM:
        needed = longest + special + _LEAST_ROOM
        raise UsageError(
            f"max_length {max_length} leaves {max(room, 0)} tokens for the context of question "
            f"{questions[lengths.index(longest)].id}, which has {longest} tokens itself; "
            f"type --max-length {needed} or more"
        )
    return room


def _trimmed(context: str, start: int, end: int) -> tuple[int, int]:
    """Leaves out the spaces around a span: SentencePiece's tokens begin with the one before."""
    text = context[start:end].rstrip()
    return start + len(text) - len(text.lstrip()), start + len(text)


def _context_offsets(batch: BatchEncoding, row: int) -> IntArray:
    """Returns each token's characters in the context, -1 outside; int64 ``[length, 2]``."""
    offsets = np.asarray(batch["offset_mapping"][row], dtype=np.int64)
    outside = [part != 1 for part in batch.sequence_ids(row)]
    offsets[outside] = -1
    return offsets


def _offsets(feature: Feature) -> IntArray:
    if feature.offsets is None:
        raise DataError(
            f"feature of example {feature.example_index} has no offsets; encode it with the "
            "question-answering task"
        )
    return feature.offsets


def _target(answers: tuple[Answer, ...], offsets: IntArray) -> tuple[int, int]:
    """Returns the tokens of the first answer, or 0 and 0 where the window does not hold it."""
    inside = np.flatnonzero(offsets[:, 0] >= 0)
    if not answers or not answers[0].text or not inside.size:
        return 0, 0
    first, last = answers[0].start, answers[0].start + len(answers[0].text)
    if offsets[inside[0], 0] > first or offsets[inside[-1], 1] < last:
        return 0, 0
    starts = inside[offsets[inside, 1] > first]
    ends = inside[offsets[inside, 0] < last]
    return int(starts[0]), int(ends[-1])
