"""Which ways of INT8 there are: smoothing where it helps, NNCF where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import UsageError
from bertcompress.graph.edit import copy_of, initializer_values
from bertcompress.graph.integer.smoothing import fold_scales, value_pairs
from bertcompress.passes.context import Context
from bertcompress.passes.ranges import Ranges
from bertcompress.search import int8_candidates
from bertcompress.search.int8_candidates import Int8Candidate, Judgement, ways_to_int8

Graphs = Callable[..., OnnxModel]


def ways(model: OnnxModel, names: tuple[str, ...], context: Context) -> set[str]:
    return set(ways_to_int8(model, names, Ranges(), context, embeddings=True, seed=0))


@pytest.fixture
def without_nncf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_candidates, "find_spec", lambda name: None)


@pytest.mark.usefixtures("without_nncf")
def test_smoothing_is_a_way_where_it_helps(
    tiny_graph: Graphs, calibrated: Callable[..., Context]
) -> None:
    graph = copy_of(tiny_graph().graph)
    for pair in value_pairs(graph):  # two channels become 40 times as large; answers stay
        scales = np.ones(initializer_values(graph, pair.output.weight).shape[0], np.float32)
        scales[[1, 9]] = 1 / 40
        fold_scales(graph, {pair: scales})
    model = replace(tiny_graph(), graph=graph)

    assert ways(model, ("static", "smoothed"), calibrated()) == {"static", "smoothed"}


@pytest.mark.usefixtures("without_nncf")
def test_only_smoothing_where_nothing_can_be_is_told(tiny_graph: Graphs, wide: Context) -> None:
    with pytest.raises(UsageError, match="not expected to help this model anywhere"):
        ways(tiny_graph(), ("smoothed",), wide)


def test_nncf_is_one_more_way_where_it_is_installed(
    tiny_graph: Graphs, wide: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_candidates, "find_spec", lambda name: name)
    assert ways(tiny_graph(), ("dynamic",), wide) == {"dynamic", "nncf"}


def test_the_row_of_a_candidate(tiny_graph: Graphs) -> None:
    model = tiny_graph()
    row = Int8Candidate("static", model, Judgement(0.0123, 0.00123456), 0.0015, 1.499).row(
        chosen=True
    )
    assert (row.ms, row.speed_up, row.points_lost, row.divergence) == (1.5, 1.5, 1.23, 0.00123)
    assert row.mb == round(model.size_bytes / 1e6, 1)
