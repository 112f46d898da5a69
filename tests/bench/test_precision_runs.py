"""Benchmarks of real graphs tell what ran in the quantized ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.variant import Subject, Variant
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.report.benchmark import bench
from bertcompress.report.schema import Report

SHORT = BenchSettings(
    rounds=1,
    requests=4,
    grid_repeats=0,
    offline_sentences=0,
    blocks=1,
    warm_minimum_s=0.01,
    warm_maximum_s=0.02,
    threads=1,
    accuracy=False,
    roofs=False,
    tune=False,
)


@pytest.fixture
def variants(tiny_graph: Callable[..., OnnxModel], tmp_path: Path) -> list[Variant]:
    graph = tiny_graph()
    made = {"FP32": graph, "INT8": QuantizeDynamic()(graph), "INT4": QuantizeWeights(bits=4)(graph)}
    return [Variant(name, save(model, tmp_path / name)) for name, model in made.items()]


@pytest.fixture
def few_words(subject: Subject) -> Subject:
    """The subject, with the tokens of the tiny model's vocabulary."""
    features = [
        replace(one, inputs={name: ids % 80 for name, ids in one.inputs.items()})
        for one in subject.features
    ]
    return replace(subject, features=features)


def run(variants: list[Variant], subject: Subject, *, wanted: bool = True) -> Report:
    return bench(variants, subject, settings=replace(SHORT, precision_map=wanted))


def test_each_quantized_graph_has_a_map_beside_the_float_graph(
    variants: list[Variant], few_words: Subject
) -> None:
    base, int8, int4 = run(variants, few_words).results

    assert base.precision_map is None
    for result, precision in ((int8, "uint8 x int8, dynamic"), (int4, "int8 x int4, block 32")):
        found = result.precision_map
        assert found is not None
        assert (found.against, found.runtime, found.threads) == ("FP32", "ort-cpu", 1)
        assert sum(one.precision == precision for one in found.products) == 13
        assert all(one.before_s for one in found.products)


def test_without_the_float_graph_there_is_nothing_to_compare_with(
    variants: list[Variant], few_words: Subject
) -> None:
    for result in run(variants[1:], few_words).results:
        assert result.precision_map is not None
        assert result.precision_map.against is None
        assert {one.before_s for one in result.precision_map.products} == {None}


def test_nobody_has_to_ask(variants: list[Variant], few_words: Subject) -> None:
    found = run(variants, few_words, wanted=False)
    assert [one.precision_map for one in found.results] == [None, None, None]
