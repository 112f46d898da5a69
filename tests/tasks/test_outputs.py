"""Arrays out of models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.errors import DataError, RunError
from bertcompress.examples import TextExample, TokenExample
from bertcompress.tasks.outputs import check_counts, examples_of, output_array, sigmoid, softmax

LOGITS = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=6)


@given(LOGITS)
def test_softmax_is_a_distribution_in_the_order_of_the_logits(logits: list[float]) -> None:
    probabilities = softmax(np.asarray(logits))

    assert probabilities.sum() == pytest.approx(1.0)
    assert probabilities[int(np.argmax(logits))] == probabilities.max()


@given(st.floats(-1e4, 1e4))
def test_sigmoid_is_symmetric(logit: float) -> None:
    both = sigmoid(np.asarray([logit, -logit]))

    assert both.sum() == pytest.approx(1.0)


def test_known_values() -> None:
    assert softmax(np.log(np.asarray([1.0, 3.0]))).tolist() == pytest.approx([0.25, 0.75])
    assert sigmoid(np.log(np.asarray([3.0]))).tolist() == pytest.approx([0.75])


def test_an_output_must_be_there_and_fit() -> None:
    outputs = {"logits": np.zeros((2, 3), dtype=np.float16)}

    assert output_array(outputs, "logits", shape=(2, None)).dtype == np.float64
    with pytest.raises(RunError, match="needs the output 'start_logits', the model gave logits"):
        output_array(outputs, "start_logits", shape=(2,))
    with pytest.raises(RunError, match=r"of shape \(3,\), the model gave \(2, 3\); the model's"):
        output_array(outputs, "logits", shape=(3,))


def test_outputs_and_features_go_together() -> None:
    with pytest.raises(RunError, match="0 features were run, 1 outputs came back"):
        check_counts([{}], [])


def test_examples_of_another_task_are_refused() -> None:
    with pytest.raises(DataError, match="needs TextExample, but 1 is a TokenExample; load the da"):
        examples_of([TokenExample("1", ("a",))], TextExample, "text-classification")
