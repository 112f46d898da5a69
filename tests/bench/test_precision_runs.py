"""Benchmarks of real graphs tell what ran in the quantized ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.artifacts.manifest import Manifest, Step
from bertcompress.bench.precision_runs import drawn_workload, float_graph_of
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.variant import Subject, Variant
from bertcompress.errors import LoadError, UsageError
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.report.benchmark import bench
from bertcompress.report.schema import Report

EXPORT = Step("ExportOnnx", {"opset": 23}, 1.0, 10, None, 400, 400)
QUANTIZE = Step("QuantizeStatic", {}, 1.0, None, None, 400, 120, details={"precision": []})
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


def manifest(*steps: Step) -> Manifest:
    return Manifest("onnx", "text-classification", steps, {})


def test_the_float_graph_is_the_one_that_the_steps_began_with() -> None:
    pruned = Step("Prune", {"heads": 0.3}, 1.0, 10, 8, 400, 300)
    candidates: Mapping[str, Manifest | None] = {
        "plain": None,
        "dense": manifest(EXPORT),
        "slower": manifest(pruned, replace(EXPORT, seconds=9.0)),
        "other": manifest(pruned, replace(EXPORT, settings={"opset": 18})),
        "dynamic": manifest(pruned, EXPORT, QUANTIZE),
        "checkpoint": replace(manifest(pruned, EXPORT), kind="checkpoint"),
    }
    named = [((name, Path(name)), one) for name, one in candidates.items()]

    found = float_graph_of((pruned, EXPORT, QUANTIZE), named)
    assert found == ("slower", Path("slower"))
    assert float_graph_of((EXPORT, QUANTIZE), named) == ("dense", Path("dense"))
    assert float_graph_of((pruned, QUANTIZE), named) is None
    assert float_graph_of((EXPORT,), named) is None


def test_drawn_sentences_have_the_length_that_was_asked_for(tmp_path: Path) -> None:
    config = '{"model_type": "bert", "vocab_size": 50, "max_position_embeddings": 64}'
    (tmp_path / "config.json").write_text(config, encoding="utf-8")

    assert drawn_workload(tmp_path).sequence_length == 64  # the default, cut to the model's
    workload = drawn_workload(tmp_path, 7)
    assert {feed["input_ids"].shape for feed in workload.feeds} == {(1, 7)}
    assert max(int(feed["input_ids"].max()) for feed in workload.feeds) < 50
    for length in (0, 65):
        with pytest.raises(UsageError, match="from 1 to the model's 64"):
            drawn_workload(tmp_path, length)


def test_a_folder_that_does_not_say_its_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"config\.json"):
        drawn_workload(tmp_path)
