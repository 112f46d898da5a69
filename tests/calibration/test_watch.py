"""The watched graph and its batches: bounded memory, the same values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.products import weight_products
from bertcompress.runtimes.ort.runtime import OrtRuntime
from bertcompress.tasks.base import Feature
from bertcompress_calibration.watch import batches, watch, write_watched

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=30)


def features(lengths: list[int]) -> list[Feature]:
    return [
        Feature(
            at,
            {
                "input_ids": np.full(length, at + 5, dtype=np.int64),
                "attention_mask": np.ones(length, dtype=np.int64),
                "token_type_ids": np.zeros(length, dtype=np.int64),
            },
        )
        for at, length in enumerate(lengths)
    ]


@given(LENGTHS, st.integers(1, 8), st.integers(1, 200))
def test_batches_hold_all_and_no_more_than_allowed(
    lengths: list[int], most: int, tokens: int
) -> None:
    ordered = sorted(features(lengths), key=lambda one: -one.length)

    made = list(batches(ordered, most, tokens))

    assert [one for batch in made for one in batch] == ordered
    for batch in made:
        assert 1 <= len(batch) <= most
        assert len(batch) == 1 or len(batch) * batch[0].length <= tokens


def test_the_weights_lie_beside_the_watched_graph(tiny_model: OnnxModel, tmp_path: Path) -> None:
    products = weight_products(tiny_model.graph)
    tensors = tuple(dict.fromkeys(product.tensor for product in products))

    path = write_watched(tiny_model.graph, tensors, tmp_path)

    assert path.stat().st_size < (tmp_path / "weights").stat().st_size
    read = onnx.load(path)
    for one, other in zip(read.graph.initializer, tiny_model.graph.graph.initializer, strict=True):
        assert np.array_equal(onnx.numpy_helper.to_array(one), onnx.numpy_helper.to_array(other))
    with OrtRuntime(path, threads=1) as runtime:
        assert runtime.outputs == tensors


def test_samples_keep_their_order(tiny_model: OnnxModel) -> None:
    """They run the longest first, and are told in the order in which they were given."""
    products = weight_products(tiny_model.graph)
    given_features = features([3, 9, 1, 9, 5])

    def seen(which: list[Feature]) -> list[float]:
        found = watch(tiny_model.graph, products, which, pad_token_id=0, batch_size=2, threads=1)
        return [float(one) for one in found[products[0].tensor].sample_maxima]

    alone = [seen([one])[0] for one in given_features]
    assert np.allclose(seen(given_features), alone, atol=1e-5)
    assert len({round(one, 4) for one in alone}) > 2
