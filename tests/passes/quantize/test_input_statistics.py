"""What goes into products: padding left out, the same in parts, covariance as computed at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example
from bertcompress.graph.products import weight_products
from bertcompress.passes.quantize.input_statistics import (
    InputStatistics,
    Texts,
    draw_texts,
    input_statistics,
    watched,
    without_padding,
)
from bertcompress.runtimes.ort.runtime import OrtRuntime

Graphs = Callable[..., OnnxModel]
Examples = Callable[..., tuple[Example, ...]]


@pytest.fixture
def texts(tiny_graph: Graphs, examples: Examples) -> Texts:
    return draw_texts(tiny_graph(), examples(count=30), samples=24, max_length=None, seed=0)


def all_statistics(model: OnnxModel, texts: Texts, **settings: int) -> dict[str, InputStatistics]:
    found: dict[str, InputStatistics] = {}
    for _, part in input_statistics(
        model.graph, weight_products(model.graph), texts.fitted, **settings
    ):
        found.update(part)
    return found


def test_texts_are_fitted_or_held_out(tiny_graph: Graphs, texts: Texts) -> None:
    rows = [sum(len(one["input_ids"]) for one in part) for part in (texts.fitted, texts.held_out)]
    assert sum(rows) == 24
    assert 0 < rows[1] < 12
    assert texts.count == 24


def test_statistics_are_those_of_the_real_tokens(tiny_graph: Graphs, texts: Texts) -> None:
    model = tiny_graph()
    found = all_statistics(model, texts)

    products = weight_products(model.graph)
    assert set(found) == {product.tensor for product in products}
    tensor = products[5].tensor  # the first layer's output projection
    rows = []
    with OrtRuntime(watched(model.graph, [tensor]), threads=1) as runtime:
        for batch in texts.fitted:  # each text alone, at its own length
            for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
                length = int(mask.sum())
                feed = {
                    "input_ids": ids[None, :length],
                    "attention_mask": mask[None, :length],
                    "token_type_ids": np.zeros((1, length), dtype=np.int64),
                }
                (values,) = runtime.run({name: feed[name] for name in runtime.input_names}).values()
                rows.append(np.asarray(values).reshape(length, -1))
    x = np.concatenate(rows).astype(np.float64)
    np.testing.assert_allclose(found[tensor].mean, x.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(
        found[tensor].covariance, np.cov(x.T, bias=True), atol=1e-4 * np.cov(x.T).max()
    )


def test_little_memory_takes_more_runs_and_gives_the_same(tiny_graph: Graphs, texts: Texts) -> None:
    model = tiny_graph()
    products = weight_products(model.graph)
    parts = list(input_statistics(model.graph, products, texts.fitted, limit_bytes=1))
    assert len(parts) == len({product.tensor for product in products})
    assert tuple(product for part, _ in parts for product in part) == products

    whole = all_statistics(model, texts)
    for tensor, seen in all_statistics(model, texts, limit_bytes=100_000).items():
        np.testing.assert_allclose(seen.covariance, whole[tensor].covariance, atol=1e-9)
        np.testing.assert_allclose(seen.mean, whole[tensor].mean, atol=1e-9)


def test_what_a_tensor_does_not_need_is_not_run(tiny_graph: Graphs) -> None:
    import onnx

    model = tiny_graph()
    first = weight_products(model.graph)[0]
    part = onnx.load_model_from_string(watched(model.graph, [first.tensor]))
    assert "Attention" not in {node.op_type for node in part.graph.node}
    assert len(part.graph.initializer) < len(model.graph.graph.initializer) / 4


@pytest.mark.parametrize(
    ("shape", "rows"),
    [((2, 3, 4), 3), ((6, 4), 3), ((2, 4), 2)],
)
def test_rows_of_padding_are_left_out(shape: tuple[int, ...], rows: int) -> None:
    mask = np.array([[1, 1, 0], [1, 0, 0]])
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found = without_padding(values, mask, tensor="x")
    assert found.shape == (rows, 4)
    expected = values if rows == 2 else values.reshape(6, 4)[[0, 1, 3]]
    np.testing.assert_array_equal(found, expected)


def test_padding_that_can_not_be_told_is_an_error() -> None:
    with pytest.raises(PassError, match="so its padding can't be told"):
        without_padding(np.zeros((5, 4), np.float32), np.ones((2, 3), np.int64), tensor="x")


def test_texts_beyond_the_model(tiny_graph: Graphs, examples: Examples) -> None:
    with pytest.raises(UsageError, match="max_length must be up to 128"):
        draw_texts(tiny_graph(), examples(), samples=20, max_length=500, seed=0)
