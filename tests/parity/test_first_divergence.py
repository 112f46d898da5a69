"""The first tensor that differs is found, whatever was done to the graph before or after it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.graph.edit import copy_of, initializer_values, set_initializer
from bertcompress.graph.integer.smoothing import fold_scales, value_pairs
from bertcompress.parity.first_divergence import (
    Divergence,
    find_divergence,
    first_diverging,
    point_sqnr_db,
)
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic

LAYER = "bert.encoder.layer."
IDS = np.array([[2, 9, 14, 60, 61, 3], [2, 70, 3, 0, 0, 0]], dtype=np.int64)
FEED = {"input_ids": IDS, "attention_mask": (IDS > 0).astype(np.int64), "token_type_ids": IDS * 0}


@st.composite
def faults(draw: st.DrawFn) -> tuple[list[list[int]], set[int], int]:
    """Draws groups of points, those that diverge, and the first of them.

    A point reads some of its own group's and the end of the group before; the end of a group reads
    all of its group, so that everything later hangs on it.
    """
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=12))
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + size)
    groups = [list(range(start, end)) for start, end in pairwise(starts)]
    fault = draw(st.integers(0, starts[-1] - 1))
    diverging: set[int] = set()
    before: int | None = None
    for group in groups:
        for point in group:
            candidates = [one for one in group if one < point]
            is_end = point == group[-1]
            read = candidates if is_end else draw(st.lists(st.sampled_from(candidates or [-1])))
            reads = {*read, *([before] if before is not None else [])}
            if point == fault or diverging & reads:
                diverging.add(point)
        before = group[-1]
    return groups, diverging, fault


@given(faults())
def test_the_bisection_finds_the_first_that_diverges(
    drawn: tuple[list[list[int]], set[int], int],
) -> None:
    groups, diverging, fault = drawn
    asked: list[int] = []

    def diverges(point: int) -> bool:
        asked.append(point)
        return point in diverging

    found, tried = first_diverging(groups, diverges)

    assert found == (fault,)
    assert tried == len(asked) == len(set(asked))
    assert tried <= math.ceil(math.log2(len(groups))) + 1 + max(map(len, groups))


def test_nothing_diverges() -> None:
    assert first_diverging([[1, 2], [3], [4]], lambda point: False) == ((), 2)
    assert first_diverging([], lambda point: True) == ((), 0)


def broken(model: OnnxModel, name: str, folder: Path) -> Path:
    """Saves a graph of which one initializer is turned around and eight times as large."""
    graph = copy_of(model.graph)
    values = initializer_values(graph, name)[..., ::-1]
    set_initializer(graph, name, np.ascontiguousarray(values * values.dtype.type(8)))
    return save(replace(model, graph=graph), folder)


@pytest.mark.parametrize(
    ("module", "tried"),
    [
        ("bert.encoder.layer.0.attention.self.key", 6),
        ("bert.encoder.layer.0.attention.output.dense", 9),
        ("bert.encoder.layer.1.output.dense", 6),
        ("bert.pooler.dense", 6),
        ("classifier", 6),
    ],
)
def test_the_module_of_a_corrupted_weight_is_named(
    module: str,
    tried: int,
    tiny_graph: Callable[..., OnnxModel],
    tiny_folder: Callable[..., Path],
    tmp_path: Path,
) -> None:
    folder = broken(tiny_graph(), f"{module}.weight_t", tmp_path / "broken")

    found = find_divergence(tiny_folder(), folder, "ort-cpu", FEED, allowed_db=80)

    assert found is not None
    assert (found.module, found.side) == (module, "output")
    assert found.sqnr_db is not None
    assert found.sqnr_db < 20
    assert found.tried <= tried
    assert f"the first to diverge is {module} (SQNR " in found.sentence


def test_what_lies_between_products_is_named_by_the_product_after_it(
    tiny_graph: Callable[..., OnnxModel], tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    model = tiny_graph()
    norm = next(
        node.input[1]
        for node in reversed(model.graph.graph.node)
        if node.op_type == "LayerNormalization" and "1.attention" in node.input[1]
    )
    folder = broken(model, norm, tmp_path / "broken")

    found = find_divergence(tiny_folder(), folder, "ort-cpu", FEED, allowed_db=80)

    assert found is not None
    assert (found.module, found.side) == (f"{LAYER}1.intermediate.dense", "input")
    assert "what goes into" in found.sentence


@pytest.mark.parametrize("reference", ["checkpoint", "graph"])
def test_a_quantized_graph_with_wrong_scales(
    reference: str,
    tiny_graph: Callable[..., OnnxModel],
    tiny_folder: Callable[..., Path],
    tmp_path: Path,
) -> None:
    right = save(tiny_graph(), tmp_path / "float") if reference == "graph" else tiny_folder()
    module = f"{LAYER}1.attention.self.value"
    folder = broken(QuantizeDynamic()(tiny_graph()), f"{module}.weight_t.scale", tmp_path / "off")

    found = find_divergence(right, folder, "ort-cpu", FEED, allowed_db=12)

    assert found is not None
    assert (found.module, found.side) == (module, "output")


def test_a_smoothed_graph_may_have_other_values_inside_attention(
    tiny_graph: Callable[..., OnnxModel], tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    model = tiny_graph()
    step = replace(model.history[-1], name="SmoothActivations")
    graph = copy_of(model.graph)
    value, output = (f"{LAYER}0.attention.{name}" for name in ("self.value", "output.dense"))
    pair = next(one for one in value_pairs(graph) if one.value.module == value)
    assert pair.output.module == output
    fold_scales(graph, {pair: np.linspace(0.1, 9, 32, dtype=np.float32)})
    smoothed = replace(model, graph=graph, history=(*model.history, step))
    folder = broken(smoothed, f"{LAYER}0.intermediate.dense.weight_t", tmp_path / "off")

    found = find_divergence(tiny_folder(), folder, "ort-cpu", FEED, allowed_db=80)

    assert found is not None
    assert (found.module, found.side) == (f"{LAYER}0.intermediate.dense", "output")
    folder = broken(smoothed, f"{output}.weight_t", tmp_path / "off, in attention")
    found = find_divergence(tiny_folder(), folder, "ort-cpu", FEED, allowed_db=80)
    assert found is not None
    assert (found.module, found.side) == (output, "output")


def test_a_right_graph_and_a_checkpoint(
    tiny_graph: Callable[..., OnnxModel], tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = save(tiny_graph(), tmp_path / "float")

    found = find_divergence(tiny_folder(), folder, "ort-cpu", FEED, allowed_db=80)

    assert found == Divergence("", "output", None, 80, tried=found.tried if found else 0)
    assert "all weight products agree" in found.sentence
    assert find_divergence(folder, tiny_folder(), "torch-cpu", FEED, allowed_db=80) is None


def test_the_ratio_leaves_padding_out_and_takes_one_token_for_the_first() -> None:
    mask = np.array([[1, 1], [1, 0]])
    whole = np.arange(8, dtype=np.float32).reshape(2, 2, 2) + 1
    padded = whole.copy()
    padded[1, 1] = 100

    assert point_sqnr_db(whole, padded, mask) == math.inf
    assert point_sqnr_db(whole, whole.reshape(4, 2) * 1.1, mask) == pytest.approx(20, abs=1e-4)
    assert point_sqnr_db(whole, whole[:, :1], mask) == math.inf
    assert point_sqnr_db(whole[:, 0], whole[:, 0] * 1.01, mask) == pytest.approx(40, abs=1e-3)
    assert math.isnan(point_sqnr_db(whole, whole * np.nan, mask))
    assert point_sqnr_db(whole * 0, whole, mask) < 0
