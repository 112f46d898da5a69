"""Drawn inputs: the samples that calibration takes, tokenized, not padded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import CalibrationError, UsageError
from bertcompress.examples import TextExample
from bertcompress_calibration import Calibrate, DrawFeatures, draw_samples

Graphs = Callable[..., OnnxModel]
TEXTS = tuple(TextExample(str(at), "good film " * (1 + at % 9)) for at in range(40))


def test_they_are_the_samples_of_a_calibration(tiny_graph: Graphs) -> None:
    model = tiny_graph()
    features = DrawFeatures(TEXTS, samples=7, seed=3)(model)
    drawn = draw_samples(TEXTS, 7, seed=3)
    table = Calibrate(TEXTS, samples=7, seed=3)(model)

    assert table.sample_ids == tuple(one.id for one in drawn)
    expected = [len(model.tokenizer(one.text)["input_ids"]) for one in drawn]
    assert [feature.length for feature in features] == expected
    assert all(feature.inputs["attention_mask"].all() for feature in features)


def test_long_texts_are_cut(tiny_graph: Graphs) -> None:
    features = DrawFeatures(TEXTS, samples=40, max_length=6)(tiny_graph())
    assert max(feature.length for feature in features) == 6


def test_what_can_not_be_meant(tiny_graph: Graphs) -> None:
    with pytest.raises(CalibrationError, match="at least one example"):
        DrawFeatures(())
    with pytest.raises(UsageError, match="samples must be 1 or more"):
        DrawFeatures(TEXTS, samples=0)
    with pytest.raises(UsageError, match="max_length must be up to 128"):
        DrawFeatures(TEXTS, max_length=129)(tiny_graph())
