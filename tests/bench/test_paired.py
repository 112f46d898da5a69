"""Two models on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from bertcompress.bench.paired import Scored, logit_divergence, score_against
from bertcompress.examples import Answer, Example, QuestionExample, TextExample, TokenExample
from bertcompress.inference.answers import Answers
from bertcompress.stats.intervals import mcnemar
from bertcompress.tasks.base import Prediction, Score, Task
from bertcompress.tasks.text_classification import TextClassification
from bertcompress.tasks.token_classification import TokenClassification

LABELS = ("negative", "positive")
TEXT_TASK = TextClassification(LABELS)
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def scored(
    task: Task,
    answers: Sequence[object],
    examples: Sequence[Example],
    logits: Sequence[np.ndarray] = (),
    scores: Sequence[float] | None = None,
) -> Scored:
    values = scores or [0.9] * len(answers)
    predictions = tuple(Prediction(a, s) for a, s in zip(answers, values, strict=True))
    score = task.score(predictions, examples)
    return Scored(Answers(predictions, tuple(np.asarray(row, np.float32) for row in logits)), score)


def texts(gold: Sequence[str]) -> list[TextExample]:
    return [TextExample(f"t:{i}", f"text {i}", label=label) for i, label in enumerate(gold)]


def test_the_flips_are_the_changed_answers_worst_first() -> None:
    examples = texts(["positive"] * 6)
    base = scored(TEXT_TASK, ["positive"] * 4 + ["negative"] * 2, examples)
    worse = ["positive", "positive", "negative", "negative", "positive", "negative"]
    variant = scored(TEXT_TASK, worse, examples, scores=[0.9, 0.9, 0.6, 0.8, 0.7, 0.9])

    paired = score_against(base, variant, examples)

    assert [flip.example_id for flip in paired.flips] == ["t:3", "t:2", "t:4"]
    assert (paired.lost, paired.gained, paired.flip_count) == (2, 1, 3)
    assert paired.agreement == 0.5
    assert paired.flips[0].base == "positive"
    assert (paired.flips[0].base_correct, paired.flips[0].correct) == (1.0, 0.0)
    assert paired.p_value == mcnemar(2, 1)
    assert paired.test == "McNemar, exact"
    assert paired.difference.estimate == pytest.approx(-1 / 6)


def test_only_the_worst_flips_are_kept_but_all_are_counted() -> None:
    examples = texts(["positive"] * 10)
    base = scored(TEXT_TASK, ["positive"] * 10, examples)
    variant = scored(TEXT_TASK, ["negative"] * 10, examples)

    paired = score_against(base, variant, examples, kept_flips=3)

    assert (len(paired.flips), paired.flip_count) == (3, 10)


def test_equal_models_do_not_differ() -> None:
    examples = texts(["positive", "negative"] * 5)
    same = scored(TEXT_TASK, ["positive"] * 10, examples, logits=[np.array([1.0, 2.0])] * 10)

    paired = score_against(same, same, examples)

    assert (paired.agreement, paired.p_value, paired.flips) == (1.0, 1.0, ())
    assert paired.logit_kl == pytest.approx(0.0, abs=1e-12)


def test_logit_divergence_is_the_hand_computed_one() -> None:
    examples = texts(["positive"])
    base = scored(TEXT_TASK, ["positive"], examples, logits=[np.log([0.25, 0.75])])
    variant = scored(TEXT_TASK, ["positive"], examples, logits=[np.log([0.5, 0.5])])

    expected = 0.25 * np.log(0.25 / 0.5) + 0.75 * np.log(0.75 / 0.5)

    assert logit_divergence(base.answers, variant.answers) == pytest.approx(expected, rel=1e-5)


def test_logit_divergence_matches_labels_by_name() -> None:
    examples = texts(["positive"])
    base = scored(TEXT_TASK, ["positive"], examples, logits=[np.log([0.25, 0.75])]).answers
    variant = scored(TEXT_TASK, ["positive"], examples, logits=[np.log([0.75, 0.25])]).answers

    named = replace(base, labels=LABELS)

    turned = logit_divergence(named, replace(variant, labels=LABELS[::-1]))
    assert turned == pytest.approx(0.0, abs=1e-7)
    assert logit_divergence(named, replace(variant, labels=("a", "b"))) is None


def test_multi_label_divergence_sums_over_the_labels() -> None:
    task = TextClassification(LABELS, "multi_label_classification")
    examples = [TextExample("a", "t", label=("positive",))]
    base = scored(task, [("positive",)], examples, logits=[np.zeros(2)])
    variant = scored(task, [("positive",)], examples, logits=[np.log([3.0, 1.0])])

    expected = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)

    assert logit_divergence(base.answers, variant.answers) == pytest.approx(expected, rel=1e-5)


def test_entity_f1_differences_are_bootstrapped() -> None:
    task = TokenClassification(TAGS)
    examples = [TokenExample(str(i), ("Ada", "left"), ("B-PER", "O")) for i in range(40)]
    base = scored(task, [("B-PER", "O")] * 40, examples)
    variant = scored(task, [("B-PER", "O")] * 30 + [("O", "O")] * 10, examples)

    paired = score_against(base, variant, examples)

    assert paired.metric == "f1"
    assert paired.test == "paired bootstrap"
    assert paired.difference.estimate == pytest.approx(2 * 30 / 70 - 1)
    assert paired.difference.high < 0
    assert paired.p_value < 0.01
    assert paired.flips[0].gold == "Ada [PER]"
    assert paired.flips[0].answer == "(none)"


def test_a_correlation_is_rebuilt_from_its_rows() -> None:
    task = TextClassification(("score",), "regression")
    generator = np.random.default_rng(0)
    gold = generator.random(30)
    examples = [TextExample(str(i), "t", label=float(g)) for i, g in enumerate(gold)]
    said = gold + generator.normal(0, 0.1, 30)
    base = scored(task, [float(v) for v in said], examples)
    variant = scored(task, [float(v) for v in said + 0.001], examples)

    paired = score_against(base, variant, examples)

    assert paired.metric == "pearson"
    assert paired.agreement == 1.0
    assert paired.difference.holds(0.0)


def test_vectors_agree_by_their_cosine() -> None:
    examples = texts(["positive"] * 2)
    score = Score("cosine_to_reference", {"cosine_to_reference": 1.0}, {}, 2, (1.0, 1.0))
    first = np.asarray([1.0, 0.0], np.float32)
    turned = np.asarray([[1.0, 0.05], [0.5, 0.5]], np.float32)
    base = Scored(Answers((Prediction(first), Prediction(first)), ()), score)
    variant = Scored(Answers(tuple(Prediction(v) for v in turned), ()), score)

    paired = score_against(base, variant, examples)

    assert paired.agreement == 0.5
    assert paired.flips[0].base == "vector of 2"
    assert paired.logit_kl is None


def test_a_metric_that_can_not_be_rebuilt_falls_to_the_mean_score() -> None:
    examples = texts(["positive"] * 3)
    score = Score("bleu", {"bleu": 0.123}, {}, 3, (1.0, 0.0, 1.0))
    one = Scored(Answers((Prediction("x"),) * 3, ()), score)

    assert score_against(one, one, examples).metric == "mean score"


def test_spans_and_their_gold_are_shown_as_text() -> None:
    example = QuestionExample("q", "Who?", "Ada wrote it.", (Answer("Ada", 0), Answer("Ada", 0)))
    score = Score("f1", {"f1": 1.0}, {}, 1, (1.0,))
    none = Score("f1", {"f1": 0.0}, {}, 1, (0.0,))
    base = Scored(Answers((Prediction("Ada", 0.8),), ()), score)
    variant = Scored(Answers((Prediction("", 0.1),), ()), none)

    flip = score_against(base, variant, [example]).flips[0]

    assert (flip.text, flip.gold) == ("Who? — Ada wrote it.", "Ada")
    assert (flip.base, flip.answer) == ("Ada", "(none)")
