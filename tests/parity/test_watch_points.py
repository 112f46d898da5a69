"""Where a graph's values can be compared, and which of them everything later hangs on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.parity.watch_points import watch_points, with_outputs
from bertcompress.passes.base import AnyPass
from bertcompress.passes.context import Context
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.runtimes.ort.runtime import run_graph

LAYER = "bert.encoder.layer.{}."
ATTENTION = [
    ("attention.self.query", "output"),
    ("attention.self.key", "output"),
    ("attention.self.value", "output"),
    ("attention.output.dense", "input"),
    ("attention.output.dense", "output"),
    ("intermediate.dense", "input"),
]
FEED_FORWARD = [
    ("intermediate.dense", "output"),
    ("output.dense", "input"),
    ("output.dense", "output"),
]


def places(model: OnnxModel) -> list[list[tuple[str, str]]]:
    return [[point.place for point in group] for group in watch_points(model.graph)]


def test_groups_end_where_everything_later_hangs_on_one_tensor(
    tiny_graph: Callable[..., OnnxModel],
) -> None:
    def of_layer(number: int, group: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(LAYER.format(number) + name, side) for name, side in group]

    queries = [("attention.self.query", "input")]
    assert [sorted(group) for group in places(tiny_graph())] == [
        sorted(group)
        for group in (
            of_layer(0, queries),
            of_layer(0, ATTENTION),
            [*of_layer(0, FEED_FORWARD), *of_layer(1, queries)],
            of_layer(1, ATTENTION),
            [*of_layer(1, FEED_FORWARD), ("bert.pooler.dense", "input")],
            [("bert.pooler.dense", "output")],
            [("classifier", "input")],
            [("classifier", "output")],
        )
    ]
    ends = [group[-1] for group in places(tiny_graph())[1:3]]
    assert ends == [*of_layer(0, ATTENTION[-1:]), *of_layer(1, queries)]


@pytest.mark.parametrize("kind", ["static", "portable", "dynamic", "int4"])
def test_every_quantized_product_has_the_places_of_the_float_graph(
    kind: str,
    tiny_graph: Callable[..., OnnxModel],
    wide: Context,
) -> None:
    passes: dict[str, AnyPass] = {
        "static": QuantizeStatic(),
        "portable": QuantizeStatic(portable=True),
        "dynamic": QuantizeDynamic(),
        "int4": QuantizeWeights(bits=4, rounding="mse"),
    }
    made = passes[kind](tiny_graph(), wide)

    expected = {place for group in places(tiny_graph()) for place in group}
    assert {place for group in places(made) for place in group} >= expected


def test_outputs_are_added_after_the_graph_s_own_and_none_twice(
    tiny_graph: Callable[..., OnnxModel],
) -> None:
    graph = tiny_graph().graph
    tensors = tuple(point.tensor for group in watch_points(graph) for point in group)

    made = with_outputs(graph, tensors)

    names = [one.name for one in made.graph.output]
    assert names[0] == "logits"
    assert sorted(names) == sorted({"logits", *tensors})
    ids = np.array([[2, 7, 9, 3]])
    (found,) = run_graph(
        made, [{"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}]
    )
    assert found[tensors[0]].shape == (1, 4, 32)
    assert [one.name for one in graph.graph.output] == ["logits"]
