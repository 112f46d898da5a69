"""A metric rebuilt from one row an example is the metric itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcompress.bench.metric_rows import metric_rows
from bertcompress.examples import TokenExample
from bertcompress.tasks.base import Prediction
from bertcompress.tasks.token_classification import TokenClassification

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from(TAGS), min_size=1, max_size=6), min_size=1, max_size=8))
def test_entity_f1_is_rebuilt_from_its_rows_exactly(answers: list[list[str]]) -> None:
    task = TokenClassification(TAGS)
    gold = [("B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O")[: len(tags)] for tags in answers]
    examples = [
        TokenExample(str(i), ("w",) * len(tags), tuple(tags)) for i, tags in enumerate(gold)
    ]
    predictions = [Prediction(tuple(tags)) for tags in answers]

    score = task.score(predictions, examples)
    rows = metric_rows(score, predictions, examples)

    assert rows is not None
    assert float(rows.statistic(rows.rows.sum(axis=0, keepdims=True))[0]) == pytest.approx(
        score.value, abs=1e-6
    )
