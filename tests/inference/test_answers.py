"""Answers in order, without padding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bertcompress.bench.variant import Subject
from bertcompress.examples import TextExample, TokenExample
from bertcompress.inference import answers as module
from bertcompress.inference.answers import predict_all
from bertcompress.runtimes.base import Arrays, FakeRuntime
from bertcompress.tasks.base import Feature
from bertcompress.tasks.text_classification import TextClassification
from bertcompress.tasks.token_classification import TokenClassification


def feature(index: int, ids: list[int], words: list[int] | None = None) -> Feature:
    row = np.asarray(ids, dtype=np.int64)
    inputs = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": row * 0}
    word_ids = None if words is None else np.asarray(words, dtype=np.int64)
    return Feature(index, inputs, word_ids=word_ids)


def parity(feed: Arrays) -> dict[str, NDArray[np.generic]]:
    """Answers class 1 for rows whose real tokens have an odd sum."""
    sums = (np.asarray(feed["input_ids"], np.int64) * np.asarray(feed["attention_mask"])).sum(1)
    logits = np.zeros((len(sums), 2), dtype=np.float32)
    logits[np.arange(len(sums)), sums % 2] = 1.0
    return {"logits": logits}


def test_answers_come_in_the_examples_order_whatever_their_length() -> None:
    lengths = (9, 3, 7, 3, 5, 8)
    features = [feature(i, [1] * (n - 1) + [i]) for i, n in enumerate(lengths)]
    examples = [TextExample(str(i), "t") for i in range(len(lengths))]
    runtime = FakeRuntime(parity, outputs=("logits",))
    told: list[int] = []

    answers = predict_all(
        runtime,
        TextClassification(("even", "odd")),
        features,
        examples,
        batch_size=2,
        progress=lambda stage, done, total: told.append(done),
    )

    expected = [("even", "odd")[(n - 1 + i) % 2] for i, n in enumerate(lengths)]
    assert [prediction.answer for prediction in answers.predictions] == expected
    assert len(answers.logits) == 6
    assert runtime.calls == 3
    assert told == [2, 4, 6]


def test_many_examples_are_answered_in_chunks(subject: Subject) -> None:
    runtime = FakeRuntime(parity, outputs=("logits",))
    whole = predict_all(runtime, subject.task, subject.features, subject.dataset.examples)

    original = module.CHUNK_EXAMPLES
    module.CHUNK_EXAMPLES = 7
    try:
        chunked = predict_all(runtime, subject.task, subject.features, subject.dataset.examples)
    finally:
        module.CHUNK_EXAMPLES = original

    assert chunked.predictions == whole.predictions


def test_padded_positions_never_reach_the_task() -> None:
    def tags(feed: Arrays) -> dict[str, NDArray[np.generic]]:
        ids = np.asarray(feed["input_ids"], np.int64)
        return {"logits": np.eye(3, dtype=np.float32)[ids % 3]}

    features = [feature(0, [0, 1, 2, 0], [-1, 0, 1, -1]), feature(1, [0, 1, 0], [-1, 0, -1])]
    examples = [TokenExample("a", ("EU", "rejects")), TokenExample("b", ("Peter",))]

    answers = predict_all(
        FakeRuntime(tags, outputs=("logits",)),
        TokenClassification(("O", "B-PER", "I-PER")),
        features,
        examples,
        pad_token_id=2,
    )

    assert [prediction.answer for prediction in answers.predictions] == [
        ("B-PER", "I-PER"),
        ("B-PER",),
    ]
    assert [logits.shape for logits in answers.logits] == [(4, 3), (3, 3)]
