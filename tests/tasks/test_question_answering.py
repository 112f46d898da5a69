"""Windows, spans and answers."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from bertcompress.data import load_dataset
from bertcompress.errors import DataError, UsageError
from bertcompress.examples import Answer, QuestionExample
from bertcompress.tasks import Prediction, QuestionAnswering
from bertcompress.tasks.base import Arrays, Feature

TASK = QuestionAnswering()
CONTEXT = "the film is good. anna lives in berlin"
ASKED = QuestionExample("q1", "who lives in berlin", CONTEXT, (Answer("anna", 18),))
UNANSWERABLE = QuestionExample("q2", "who is bad", CONTEXT)
LONG = QuestionExample(
    "q3", "who lives", "film " * 60 + "anna " + "film " * 60, (Answer("anna", 300),)
)


def gold_outputs(feature: Feature) -> Arrays:
    """Returns logits that are high at the targets."""
    start, end = np.zeros(feature.length), np.zeros(feature.length)
    start[int(feature.targets["start_positions"])] = 9.0
    end[int(feature.targets["end_positions"])] = 9.0
    return {"start_logits": start, "end_logits": end}


def outputs_of(feature: Feature, start: dict[int, float], end: dict[int, float]) -> Arrays:
    rows = {"start_logits": np.zeros(feature.length), "end_logits": np.zeros(feature.length)}
    for name, values in (("start_logits", start), ("end_logits", end)):
        for token, value in values.items():
            rows[name][token] = value
    return rows


def test_targets_are_the_tokens_of_the_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    feature = TASK.encode(tokenizer, [ASKED], max_length=64)[0]

    assert feature.offsets is not None
    start, end = (int(feature.targets[f"{side}_positions"]) for side in ("start", "end"))
    assert ASKED.context[feature.offsets[start, 0] : feature.offsets[end, 1]] == "anna"
    assert feature.offsets[0].tolist() == [-1, -1]
    assert feature.inputs["token_type_ids"][start] == 1


def test_a_long_context_gives_windows_that_overlap(tokenizer: PreTrainedTokenizerFast) -> None:
    features = TASK.encode(tokenizer, [ASKED, LONG], max_length=48)

    windows = [feature for feature in features if feature.example_index == 1]
    assert len(windows) > 3
    assert all(feature.length <= 48 for feature in features)
    held = [window for window in windows if int(window.targets["start_positions"])]
    assert 1 <= len(held) < len(windows)
    offsets = [window.offsets for window in windows if window.offsets is not None]
    spans = [own[own[:, 0] >= 0] for own in offsets]
    assert all(later[0, 0] < earlier[-1, 1] for earlier, later in itertools.pairwise(spans))


def test_the_answer_is_found_over_all_windows(tokenizer: PreTrainedTokenizerFast) -> None:
    examples = [ASKED, LONG]
    features = TASK.encode(tokenizer, examples, max_length=48)

    answers = TASK.predict([gold_outputs(one) for one in features], features, examples)

    assert [answer.answer for answer in answers] == ["anna", "anna"]
    assert answers[1].details == {"start": 300, "end": 304}
    score = TASK.score(answers, examples)
    assert (score.primary, score.value, score.values["exact_match"]) == ("f1", 1.0, 1.0)
    assert json.loads(json.dumps(TASK.to_json(ASKED, answers[0])))["answer"] == "anna"


def test_no_answer_wins_where_it_scores_best(tokenizer: PreTrainedTokenizerFast) -> None:
    examples = [ASKED, UNANSWERABLE]
    features = TASK.encode(tokenizer, examples, max_length=64)
    outputs = [gold_outputs(feature) for feature in features]

    answers = TASK.predict(outputs, features, examples)

    assert [answer.answer for answer in answers] == ["anna", ""]
    score = TASK.score(answers, examples)
    assert score.values == {
        "f1": 1.0,
        "exact_match": 1.0,
        "f1_answerable": 1.0,
        "f1_unanswerable": 1.0,
    }
    forced = QuestionAnswering(allow_empty=False).predict(outputs, features, examples)
    assert forced[1].answer != ""


def test_one_window_that_sees_an_answer_is_enough(tokenizer: PreTrainedTokenizerFast) -> None:
    features = TASK.encode(tokenizer, [LONG], max_length=48)

    outputs = []
    for feature in features:
        weight = 1.0 if int(feature.targets["start_positions"]) else 2.0  # Sure of no answer.
        gold = gold_outputs(feature)
        outputs.append({name: weight * np.asarray(gold[name], np.float64) for name in gold})

    answers = QuestionAnswering(allow_empty=True).predict(outputs, features, [LONG])

    assert answers[0].answer == "anna"


def test_spans_are_forward_and_short(tokenizer: PreTrainedTokenizerFast) -> None:
    task = QuestionAnswering(max_answer_tokens=2)
    feature = task.encode(tokenizer, [ASKED], max_length=64)[0]
    first = 6  # [CLS] who lives in berlin [SEP] the film is good . anna lives in berlin [SEP]
    outputs = outputs_of(
        feature,
        start={0: 99.0, first: 5.0, first + 2: 4.0},
        end={1: 99.0, first + 1: 3.0, first + 4: 7.0, first + 3: 2.0},
    )

    answer = task.predict([outputs], [feature], [ASKED])[0]

    assert answer.answer == "the film"
    assert answer.score is not None
    assert 0 < answer.score < 1


def test_scores_by_hand() -> None:
    score = TASK.score(
        [Prediction("anna lives"), Prediction("film")],
        [ASKED, QuestionExample("q", "what", CONTEXT, (Answer("the film", 0), Answer("x", 0)))],
    )

    assert score.value == pytest.approx((2 / 3 + 1) / 2)
    assert score.values["exact_match"] == 0.5
    assert score.correct == pytest.approx((2 / 3, 1.0))


def test_a_context_of_nothing_has_no_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    example = QuestionExample("q", "who", "")
    features = TASK.encode(tokenizer, [example], max_length=32)

    answers = TASK.predict([gold_outputs(one) for one in features], features, [example])

    assert answers == [Prediction("", None, {"start": None, "end": None})]


def test_a_question_that_leaves_no_room_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    wordy = QuestionExample("q9", "who " * 30, CONTEXT)

    with pytest.raises(
        UsageError, match=r"leaves 0 tokens for the context of question q9, .*--max-length 49 or"
    ):
        TASK.encode(tokenizer, [ASKED, wordy], max_length=32)


def test_settings_and_data_are_checked(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UsageError, match="stride must be 1 or more, got 0"):
        QuestionAnswering(stride=0)
    with pytest.raises(DataError, match="none of 1 questions has an answer"):
        TASK.score([Prediction("")], [UNANSWERABLE])
    assert TASK.encode(tokenizer, [], max_length=64) == []


def test_a_feature_of_another_task_is_refused() -> None:
    row = np.zeros(2, dtype=np.int64)
    feature = Feature(0, {"input_ids": row, "attention_mask": row, "token_type_ids": row})
    outputs = outputs_of(feature, {}, {})

    with pytest.raises(DataError, match="has no offsets; encode it with the question-answering"):
        TASK.predict([outputs], [feature], [ASKED])


@pytest.mark.shared
def test_gold_targets_give_back_the_answers_of_xquad(shared: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(shared / "models" / "minilm-sst2")
    examples = load_dataset(shared / "data" / "xquad", task=TASK.name).examples

    features = TASK.encode(tokenizer, examples, max_length=384)
    answers = TASK.predict([gold_outputs(one) for one in features], features, examples)

    assert TASK.score(answers, examples).values["exact_match"] > 0.998
