"""Outputs are compared where there are tokens, and figures are those computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.errors import ParityError
from bertcompress.parity.outputs import Parity, compare_outputs, parity_feeds, signal_and_noise

MASK = {"attention_mask": np.array([[1, 1, 0], [1, 0, 0]])}


def compared(expected: np.ndarray, got: np.ndarray, name: str = "start_logits") -> Parity:
    return compare_outputs([{name: expected}], [{name: got}], [MASK])


def test_figures_by_hand_padding_left_out() -> None:
    expected = np.array([[3.0, -4.0, 100.0], [0.0, 100.0, 100.0]])
    got = np.array([[3.0, -4.5, -1.0], [0.1, np.nan, np.inf]])  # in padding anything may be

    parity = compared(expected, got)

    figures = parity.figures
    assert figures.largest_difference == pytest.approx(0.5)
    assert figures.mean_difference == pytest.approx(0.6 / 3)
    assert (figures.values_compared, figures.batches, figures.largest_output) == (3, 1, 4.0)
    assert parity.signal == pytest.approx(25.0)
    assert parity.noise == pytest.approx(0.26)
    assert parity.sqnr_db == pytest.approx(10 * math.log10(25 / 0.26))


def test_logits_of_a_text_have_no_padding() -> None:
    parity = compared(np.zeros((2, 3)), np.full((2, 3), 0.25), "logits")

    assert (parity.figures.values_compared, parity.figures.largest_difference) == (6, 0.25)
    assert parity.sqnr_db == math.inf  # of nothing there is no ratio


def test_nothing_differs_from_itself() -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 4))

    parity = compared(values, values)

    assert (parity.figures.largest_difference, parity.noise, parity.sqnr_db) == (0.0, 0.0, math.inf)


@pytest.mark.parametrize(
    ("got", "sentence"),
    [
        ({"other": np.zeros((2, 3))}, "the graph's last_hidden_state is nothing, the model's is"),
        ({"last_hidden_state": np.zeros((2, 4))}, r"is \(2, 4\), the model's is \(2, 3\)"),
        ({"last_hidden_state": np.full((2, 3), np.nan)}, "holds values that are not finite"),
    ],
)
def test_what_can_not_be_compared_is_told(got: dict[str, np.ndarray], sentence: str) -> None:
    with pytest.raises(ParityError, match=sentence):
        compare_outputs([{"last_hidden_state": np.zeros((2, 3))}], [got], [MASK])


@given(vocabulary=st.integers(1, 50), longest=st.integers(2, 200), seed=st.integers(0, 99))
def test_drawn_batches_fit_the_model(vocabulary: int, longest: int, seed: int) -> None:
    feeds = parity_feeds(vocabulary=vocabulary, longest=longest, seed=seed)

    for feed in feeds:
        ids, mask, segments = (
            feed[name] for name in ("input_ids", "attention_mask", "token_type_ids")
        )
        assert ids.shape == mask.shape == segments.shape
        assert ids.shape[1] <= longest
        assert 0 <= ids.min() <= ids.max() < vocabulary
        assert (mask[:, 0] == 1).all()  # no text is empty
        assert (np.diff(mask, axis=1) <= 0).all()  # padding is on the right
        assert (segments <= mask).all()
    assert any((feed["attention_mask"].sum(axis=1) == 1).any() for feed in feeds)
    again = parity_feeds(vocabulary=vocabulary, longest=longest, seed=seed)
    assert all(
        np.array_equal(one[name], other[name])
        for one, other in zip(feeds, again, strict=True)
        for name in one
    )


def test_squares_of_half_precision_are_summed_in_double() -> None:
    expected = np.full(3, 300.0, dtype=np.float16)  # its square is past float16's largest

    assert signal_and_noise(expected, expected - np.float16(2.0)) == (270_000.0, 12.0)
