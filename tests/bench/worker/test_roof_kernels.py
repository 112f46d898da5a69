"""What the measuring process runs: the right products, on the right kernels, over all memory."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from bertcompress.bench.worker import roof_kernels as module
from bertcompress.bench.worker.roof_kernels import product_graph
from bertcompress.graph.edit import initializer_values
from bertcompress.graph.kernels import count_kernels
from bertcompress.runtimes.ort.runtime import optimized_graph, run_graph


def test_the_integer_product_is_one_and_runs_as_an_integer_kernel() -> None:
    graph = onnx.load_model_from_string(product_graph("int8", (3, 8, 5)))
    x = np.random.default_rng(1).integers(0, 128, (3, 8)).astype(np.uint8)  # exact without VNNI too

    (outputs,) = run_graph(graph, [{"x": x}])

    stored = initializer_values(graph, "weight")
    weight = stored.astype(np.int32)
    expected = (x.astype(np.int32) - 128) @ weight
    assert outputs["row"].tolist() == expected[:1].tolist()
    assert stored.dtype == np.int8
    assert count_kernels(optimized_graph(graph)).integer == {"MatMulInteger": 1}


def test_the_float_product_is_one_and_runs_as_a_float_kernel() -> None:
    graph = onnx.load_model_from_string(product_graph("fp32", (3, 8, 5)))
    x = np.random.default_rng(1).standard_normal((3, 8), dtype=np.float32)

    (outputs,) = run_graph(graph, [{"x": x}])

    expected = x @ initializer_values(graph, "weight").astype(np.float32)
    np.testing.assert_allclose(
        outputs["row"].astype(np.float32), expected[:1], rtol=1e-4, atol=1e-5
    )
    assert count_kernels(optimized_graph(graph)).operators["MatMul"] == 1


def test_the_best_shape_is_the_roof_and_rows_grow_with_the_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SHAPES", {"fp32": ((1, 8, 8), (64, 256, 256))})

    roof = module._product_roof("fp32", 2, 0.01)

    assert roof.how == "MatMul 128×256×256"
    assert len(roof.samples) >= 6


def test_every_part_of_the_array_is_visited_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PART_BYTES", 800)
    seen: list[tuple[int, int]] = []

    times, part_bytes = module._walk(
        lambda part: seen.append((part.start, part.stop)), 8000, threads=2, seconds=0.0
    )

    assert part_bytes == 1600
    assert len(times) == 6
    assert sorted(set(seen)) == [(k, k + 100) for k in range(0, 1000, 100)]


def test_the_array_is_much_larger_than_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_last_cache_bytes", lambda: 96 << 20)

    assert module._array_bytes() <= 384 << 20

    monkeypatch.setattr(module, "_last_cache_bytes", lambda: 0)
    assert module._array_bytes() <= module._SMALLEST_ARRAY
