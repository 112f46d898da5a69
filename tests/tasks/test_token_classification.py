"""Tags and entities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from transformers import AutoConfig, PreTrainedTokenizerFast

from bertcompress.data import load_dataset
from bertcompress.errors import DataError, LabelMismatchError
from bertcompress.examples import TokenExample, UnsplitExample
from bertcompress.tasks import Prediction, TokenClassification, make_task
from bertcompress.tasks.base import Arrays, Feature

TASK = TokenClassification(("O", "B-PER", "I-PER", "B-LOC", "I-LOC"))
ANNA = TokenExample("t:1", ("anna", "xyz", "lives"), ("B-PER", "I-PER", "O"))


def certain(feature: Feature, tags: tuple[str, ...]) -> Arrays:
    """Returns outputs that name a tag at each token, whatever its word."""
    logits = np.zeros((feature.length, len(TASK.labels)), dtype=np.float32)
    for token, tag in enumerate(tags):
        logits[token, TASK.labels.index(tag)] = 20.0
    return {"logits": logits}


def test_the_first_piece_of_a_word_carries_its_tag(tokenizer: PreTrainedTokenizerFast) -> None:
    feature = TASK.encode(tokenizer, [ANNA], max_length=16)[0]

    assert feature.word_ids is not None
    assert feature.word_ids.tolist() == [-1, 0, 1, 1, 1, 2, -1]
    assert feature.targets["labels"].tolist() == [-100, 1, 2, -100, -100, 0, -100]


def test_untagged_words_have_no_targets(tokenizer: PreTrainedTokenizerFast) -> None:
    features = TASK.encode(tokenizer, [TokenExample("t:1", ("anna",))], max_length=16)

    assert not features[0].targets
    assert TASK.encode(tokenizer, [], max_length=16) == []


def test_only_first_pieces_are_read(tokenizer: PreTrainedTokenizerFast) -> None:
    feature = TASK.encode(tokenizer, [ANNA], max_length=16)[0]
    tags = ("B-LOC", "B-PER", "I-PER", "B-LOC", "B-LOC", "O", "B-LOC")

    answer = TASK.predict([certain(feature, tags)], [feature], [ANNA])[0]

    assert answer.answer == ("B-PER", "I-PER", "O")
    assert answer.score == pytest.approx(1.0)
    printed = json.loads(json.dumps(TASK.to_json(ANNA, answer)))
    assert printed["tags"] == ["B-PER", "I-PER", "O"]
    assert printed["entities"][0]["text"] == "anna xyz"
    assert (printed["entities"][0]["start_word"], printed["entities"][0]["end_word"]) == (0, 2)


def test_words_that_were_cut_away_are_outside_and_counted(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    example = TokenExample(
        "t:1", ("good", "", "film", "anna", "berlin"), ("O",) * 3 + ("B-PER",) * 2
    )
    feature = TASK.encode(tokenizer, [example], max_length=5)[0]

    answers = TASK.predict([certain(feature, ("B-PER",) * 5)], [feature], [example])
    score = TASK.score(answers, [example])

    assert answers[0].answer == ("B-PER", "O", "B-PER", "B-PER", "O")
    assert score.values["unseen_words"] == 2.0


def test_scores_by_hand() -> None:
    examples = [
        TokenExample("1", ("a", "b", "c", "d"), ("B-PER", "I-PER", "O", "B-LOC")),
        TokenExample("2", ("a", "b"), ("B-LOC", "O")),
    ]
    answers = [
        Prediction(("B-PER", "I-PER", "O", "O")),
        Prediction(("B-LOC", "B-PER")),
    ]

    score = TASK.score(answers, examples)

    assert score.primary == "f1"
    assert score.values["precision"] == pytest.approx(2 / 3)
    assert score.values["recall"] == pytest.approx(2 / 3)
    assert score.value == pytest.approx(2 / 3)
    assert score.values["accuracy"] == pytest.approx(4 / 6)
    assert score.per_class["PER"].precision == 0.5
    assert score.per_class["LOC"].recall == 0.5
    assert score.correct == (0.75, 0.5)


def test_an_entity_that_opens_with_i_counts_but_not_strictly() -> None:
    words = TokenExample("1", ("a", "b"), ("B-PER", "I-PER"))

    score = TASK.score([Prediction(("I-PER", "I-PER"))], [words])

    assert (score.value, score.values["f1_strict"]) == (1.0, 0.0)
    assert score.values["accuracy"] == 0.5


def test_how_the_tags_were_read_is_told() -> None:
    bioes = TokenClassification(("O", "B-PER", "I-PER", "E-PER", "S-PER", "X"))
    words = TokenExample("1", ("a", "b", "c"), ("B-PER", "I-PER", "O"))

    score = bioes.score([Prediction(("B-PER", "E-PER", "X"))], [words])

    assert (score.value, score.values["f1_strict"]) == (1.0, 1.0)
    assert score.notes == (
        "the model's tags were read as BIOES and the data's as IOB2; entities are compared, and "
        "for the accuracy of tags the data's were written as the model's",
        "labels that are no tags were read as O: X",
    )


def test_gold_tags_are_learned_in_the_models_scheme(tokenizer: PreTrainedTokenizerFast) -> None:
    bilou = TokenClassification(("O", "B-PER", "I-PER", "L-PER", "U-PER"))
    words = TokenExample("1", ("anna", "film", "is"), ("B-PER", "I-PER", "O"))

    feature = bilou.encode(tokenizer, [words], max_length=8)[0]

    assert feature.targets["labels"].tolist() == [-100, 1, 3, 0, -100]


def test_no_entity_on_either_side_is_no_score() -> None:
    score = TASK.score([Prediction(("O",))], [TokenExample("1", ("a",), ("O",))])

    assert (score.value, score.values["accuracy"], score.per_class) == (0.0, 1.0, {})


def test_other_tags_are_scored_a_word_at_a_time(tokenizer: PreTrainedTokenizerFast) -> None:
    task = TokenClassification(("NN", "VB"))
    example = TokenExample("1", ("film", "is", "good"), ("NN", "VB", "NN"))
    feature = task.encode(tokenizer, [example], max_length=8)[0]
    logits = np.zeros((feature.length, 2))
    logits[:, 0] = 1.0

    answers = task.predict([{"logits": logits}], [feature], [example])
    score = task.score(answers, [example])

    assert task.primary_metric == score.primary == "accuracy"
    assert score.value == pytest.approx(2 / 3)
    assert score.values["f1_macro"] == pytest.approx(0.4)
    assert "entities" not in answers[0].details


def test_printed_entities_are_those_that_are_scored(tokenizer: PreTrainedTokenizerFast) -> None:
    words = TokenExample("1", tuple("abcdef"))
    tags = ("B-PER", "I-PER", "I-LOC", "B-LOC", "O", "I-PER")
    feature = TASK.encode(tokenizer, [words], max_length=16)[0]

    answer = TASK.predict([certain(feature, ("O", *tags))], [feature], [words])[0]

    printed = cast("list[dict[str, object]]", answer.details["entities"])
    assert [(entity["type"], entity["text"]) for entity in printed] == [
        ("PER", "a b"),
        ("LOC", "c"),
        ("LOC", "d"),
        ("PER", "f"),
    ]
    assert printed[0]["score"] == pytest.approx(1.0)


def test_a_text_is_split_by_the_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    text = UnsplitExample(
        "1",
        (
            "anna",
            "xyz.",
        ),
        text=" anna xyz.",
    )
    feature = TASK.encode(tokenizer, [text, ANNA], max_length=16)[0]
    tags = ("O", "B-PER", "I-PER", "O", "O", "O")

    answer = TASK.predict([certain(feature, tags)], [feature], [text])[0]

    printed = TASK.to_json(text, answer)
    assert printed["words"] == ["anna", "xyz", "."]
    assert printed["tags"] == ["B-PER", "I-PER", "O"]
    [entity] = cast("list[dict[str, object]]", printed["entities"])
    assert (entity["text"], entity["start"], entity["end"]) == ("anna xyz", 1, 9)


def test_unknown_tags_and_missing_tags_are_refused() -> None:
    with pytest.raises(LabelMismatchError, match="does not know: B-ORG; "):
        TASK.check([TokenExample("1", ("a",), ("B-ORG",))])
    with pytest.raises(DataError, match="1 has no tags, so it can't be scored"):
        TASK.score([Prediction(("O",))], [TokenExample("1", ("a",))])
    with pytest.raises(DataError, match="there is no example to score"):
        TASK.score([], [])


def test_a_feature_of_another_task_is_refused() -> None:
    row = np.zeros(2, dtype=np.int64)
    feature = Feature(0, {"input_ids": row, "attention_mask": row, "token_type_ids": row})

    with pytest.raises(DataError, match="has no word ids; encode it with the token-class"):
        TASK.predict([{"logits": np.zeros((2, 5))}], [feature], [ANNA])


@pytest.mark.shared
def test_real_data_fits_the_real_model(shared: Path) -> None:
    config = AutoConfig.from_pretrained(shared / "models" / "minilm-conll2003")
    task = make_task("token-classification", config)

    data = load_dataset(shared / "data" / "conll2003", task=task.name)

    task.check(data.examples)
    gold = [Prediction(example.tags) for example in data if isinstance(example, TokenExample)]
    assert task.score(gold, data.examples).value == 1.0
