"""Vectors of texts and pairs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from bertcompress.errors import DataError, RunError, UsageError
from bertcompress.examples import TextExample
from bertcompress.tasks import Prediction, SentenceEmbedding
from bertcompress.tasks.pooling import Pooling

TASK = SentenceEmbedding()
TEXTS = [TextExample("1", "good film"), TextExample("2", "bad")]
STATES = np.asarray([[3.0, 0.0], [0.0, 4.0], [0.0, 4.0], [1.0, 0.0]], dtype=np.float32)


@pytest.mark.parametrize(
    ("pooling", "normalize", "vector"),
    [
        ("mean", False, [1.0, 2.0]),
        ("cls", False, [3.0, 0.0]),
        ("cls", True, [1.0, 0.0]),
        ("mean", True, [1 / 5**0.5, 2 / 5**0.5]),
    ],
)
def test_pooling_by_hand(
    tokenizer: PreTrainedTokenizerFast, pooling: Pooling, normalize: bool, vector: list[float]
) -> None:
    task = SentenceEmbedding(pooling, normalize=normalize)
    features = task.encode(tokenizer, TEXTS[:1], max_length=8)

    answers = task.predict([{"last_hidden_state": STATES}], features, TEXTS[:1])

    assert isinstance(answers[0].answer, np.ndarray)
    assert answers[0].answer.dtype == np.float32
    assert answers[0].answer.tolist() == pytest.approx(vector)
    printed = json.loads(json.dumps(task.to_json(TEXTS[0], answers[0])))
    assert printed["embedding"] == pytest.approx(vector)


def test_a_pair_is_two_features_and_two_vectors(tokenizer: PreTrainedTokenizerFast) -> None:
    pair = [TextExample("1", "good film", "bad film", 4.0)]

    features = TASK.encode(tokenizer, pair, max_length=8)
    answers = TASK.predict(
        [{"last_hidden_state": STATES}, {"last_hidden_state": 2 * STATES}], features, pair
    )

    assert [feature.example_index for feature in features] == [0, 0]
    assert np.asarray(answers[0].answer).shape == (2, 2)
    printed = json.loads(json.dumps(TASK.to_json(pair[0], answers[0])))
    assert printed["cosine"] == pytest.approx(1.0)
    assert printed["embeddings"] == [[1.0, 2.0], [2.0, 4.0]]


def test_the_original_is_the_measure() -> None:
    answers = [Prediction(np.asarray([1.0, 0.0])), Prediction(np.asarray([1.0, 1.0]))]
    originals = [Prediction(np.asarray([2.0, 0.0])), Prediction(np.asarray([1.0, 0.0]))]

    score = TASK.score(answers, TEXTS, reference=originals)

    assert score.primary == "cosine_to_reference"
    assert score.correct == pytest.approx((1.0, 0.5**0.5))
    assert score.value == pytest.approx((1 + 0.5**0.5) / 2)


def test_people_are_the_measure_where_pairs_have_numbers() -> None:
    examples = [TextExample(str(at), "a", "b", label) for at, label in enumerate((1.0, 2.0, 3.0))]
    angles = (1.2, 0.1, 0.4)  # The wider the angle, the less alike.
    answers = [
        Prediction(np.asarray([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])) for angle in angles
    ]

    score = TASK.score(answers, examples, reference=answers)

    assert score.primary == "spearman"
    assert score.value == pytest.approx(0.5)
    assert score.values["cosine_to_reference"] == pytest.approx(1.0)
    assert score.correct == pytest.approx((0.0, -0.25, -0.25))


def test_something_to_compare_with_is_needed() -> None:
    with pytest.raises(DataError, match="neither was given; give a reference, or pairs"):
        TASK.score([Prediction(np.ones(2))], TEXTS[:1])


@pytest.mark.parametrize(
    ("examples", "sentence"),
    [
        ([TextExample("1", "a", label=3.0)], "1 has the number 3.0 and one text.*--text-pair NAME"),
        (
            [TextExample("1", "a", "b", 3.0), TextExample("2", "a", "b")],
            "1 of 2 pairs have a number as label; give all one, or none",
        ),
        ([TextExample("1", "a", "b"), TextExample("2", "a")], "1 of 2 examples are pairs and 2"),
    ],
)
def test_unfit_examples_are_refused(examples: list[TextExample], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        TASK.check(examples)


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(UsageError, match=r"pooling must be cls or max or .*, got 'median'"):
        SentenceEmbedding("median")  # type: ignore[arg-type]  # what the test is about


def test_an_example_without_output_is_refused() -> None:
    with pytest.raises(RunError, match="example 0 has no output; run all features"):
        TASK.predict([], [], TEXTS)


def test_a_vector_of_zeros_stays(tokenizer: PreTrainedTokenizerFast) -> None:
    task = SentenceEmbedding(normalize=True)
    features = task.encode(tokenizer, TEXTS[:1], max_length=8)

    answers = task.predict([{"last_hidden_state": 0 * STATES}], features, TEXTS[:1])

    assert np.asarray(answers[0].answer).tolist() == [0.0, 0.0]
