"""The bias takes over what rounding the weight takes from the mean output."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.edit import copy_of, initializer_values
from bertcompress.graph.integer.integer_products import correct_bias
from bertcompress.graph.products import weight_products
from bertcompress.numerics.affine import choose_symmetric_s8, quantize_s8
from bertcompress.numerics.granularity import PerAxis

Graphs = Callable[..., OnnxModel]


@given(seed=st.integers(0, 999), largest=st.sampled_from((127, 63)))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_mean_output_is_that_of_the_float_product(
    tiny_graph: Graphs, seed: int, largest: int
) -> None:
    before = tiny_graph().graph
    after = copy_of(before)
    product = weight_products(after)[seed % 12]
    assert product.bias is not None
    weight = initializer_values(before, product.weight).astype(np.float64)
    mean = np.random.default_rng(seed).normal(size=weight.shape[0]).astype(np.float32)

    assert correct_bias(after, product, mean, largest=largest)

    scale = choose_symmetric_s8(weight.astype(np.float32), PerAxis(1), largest=largest)
    stored = quantize_s8(weight.astype(np.float32), scale, PerAxis(1)).astype(np.float64) * scale
    wanted = mean @ weight + initializer_values(before, product.bias)
    found = mean @ stored + initializer_values(after, product.bias)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
    assert np.abs(mean @ stored - mean @ weight).max() > 1e-5  # there was something to correct
    np.testing.assert_array_equal(
        initializer_values(after, product.weight), initializer_values(before, product.weight)
    )
