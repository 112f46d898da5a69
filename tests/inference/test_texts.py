"""Texts through a model: tokens, batches of similar length, outputs and answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import UsageError
from bertcompress.examples import Example
from bertcompress.inference.texts import Texts, padded_batches, similar_lengths
from bertcompress.runtimes.ort.runtime import OrtRuntime
from bertcompress.tasks.base import Feature

Graphs = Callable[..., OnnxModel]
Examples = Callable[..., tuple[Example, ...]]


def test_outputs_are_those_of_each_text_alone(tiny_graph: Graphs, examples: Examples) -> None:
    model, given = tiny_graph(), examples(count=5)
    texts = Texts.of(model, given)
    with OrtRuntime(model.graph.SerializeToString(), threads=1) as runtime:
        together = texts.outputs(runtime, batch_size=4)
        some = texts.outputs(runtime, batch_size=4, at=[3, 1])
        for feature, outputs in zip(texts.features, together, strict=True):
            feed = {name: values[None] for name, values in feature.inputs.items()}
            alone = runtime.run(feed)["logits"][0]
            np.testing.assert_allclose(outputs["logits"], alone, atol=1e-5)
    np.testing.assert_allclose(some[0]["logits"], together[3]["logits"], atol=1e-5)
    assert texts.labelled
    assert len(texts.predictions(together)) == 5


def test_texts_are_cut_where_asked(tiny_graph: Graphs, examples: Examples) -> None:
    assert max(f.length for f in Texts.of(tiny_graph(), examples(), max_length=5).features) == 5
    with pytest.raises(UsageError, match="max_length must be up to 128"):
        Texts.of(tiny_graph(), examples(), max_length=129)


def test_batches_are_of_similar_length_and_padded() -> None:
    lengths = (3, 9, 4, 8, 5)
    features = [
        Feature(at, {"input_ids": np.ones(n, np.int64), "attention_mask": np.ones(n, np.int64)})
        for at, n in enumerate(lengths)
    ]
    assert [[f.length for f in batch] for batch in similar_lengths(features, 2)] == [
        [3, 4],
        [5, 8],
        [9],
    ]
    batches = padded_batches(features, 2, pad_token_id=7)
    assert [batch["input_ids"].shape for batch in batches] == [(2, 4), (2, 8), (1, 9)]
    assert batches[0]["input_ids"][0].tolist() == [1, 1, 1, 7]
