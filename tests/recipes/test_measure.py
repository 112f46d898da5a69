"""Python and the command measure the same, and what can't be meant is refused first."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import bertcompress as bc
from bertcompress.bench import settings
from bertcompress.bench.variant import Subject, Variant
from bertcompress.errors import UsageError
from bertcompress.inference.predictor import Predictor
from bertcompress.recipes import measure
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.measure import measured_data, peer_source
from bertcompress.recipes.resources import Splits
from bertcompress.report.report_files import read_report
from bertcompress.report.schema import Report
from fixtures.reports import synthetic_report

Ok = Callable[..., str]


@pytest.mark.slow
def test_python_and_the_command_measure_the_same(
    ok: Ok, here: Path, model: Path, data: Path, short_quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = replace(settings.QUICK, again=False, grid_lengths=())
    monkeypatch.setattr(settings, "QUICK", alone)
    ok("export", model, "-o", "graph")

    ok("bench", "graph", "--data", data, "-o", "typed", "--quick")
    called = bc.benchmark(["graph"], data, settings=alone, out="called")

    typed = read_report(here / "typed")
    assert read_report(here / "called") == called
    for part in ("settings", "dataset", "task", "metric", "skipped"):
        assert getattr(called, part) == getattr(typed, part), part
    [ours], [theirs] = called.results, typed.results
    for part in ("name", "kind", "runtime", "size", "accuracy", "operations"):
        assert getattr(ours, part) == getattr(theirs, part), part
    assert [it.name for it in ours.measurements] == [it.name for it in theirs.measurements]
    assert called.command == ""
    assert typed.command.startswith("bertcompress bench ")


@pytest.mark.slow
def test_a_model_with_fewer_tokens_is_measured_on_its_own_numbers(
    ok: Ok, here: Path, model: Path, data: Path, short_quick: None
) -> None:
    ok("prune", model, "--vocabulary", "--data", data, "-o", "small")
    told = json.loads(ok("evaluate", "small", "--data", data, "--reference", model, "--json"))
    alone = replace(settings.QUICK, again=False, grid_lengths=())

    report = bc.benchmark([model, "small"], data, settings=alone)

    small = report.results[1]
    assert small.accuracy is not None
    assert small.paired is not None
    assert small.paired.agreement == pytest.approx(1.0)
    assert small.accuracy.value == pytest.approx(told["value"], abs=1e-6)


def test_nothing_is_written_without_a_folder(
    here: Path, model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, asked = synthetic_report(), list[str]()

    def bench(variants: Sequence[Variant], subject: Subject, **more: object) -> Report:
        asked.extend(variant.name for variant in variants)
        return report

    monkeypatch.setattr(measure, "bench", bench)

    assert bc.benchmark([model], data, names=["the baseline"]) == report
    assert asked == ["the baseline"]
    assert list(here.iterdir()) == []


def test_models_of_two_tasks_and_no_models_are_refused(
    tiny_folder: Callable[..., Path], data: Path
) -> None:
    other = tiny_folder(task="token-classification")
    with pytest.raises(UsageError, match="the models do different tasks, text-class"):
        bc.benchmark([tiny_folder(), other], data)
    with pytest.raises(UsageError, match="needs at least one artifact folder"):
        bc.benchmark([], data)
    with pytest.raises(UsageError, match="1 names were given for 2 models; give one each"):
        bc.benchmark([tiny_folder(), tiny_folder()], data, names=["alone"])


def test_a_single_file_is_taken_whole_or_its_test_part(
    model: Path, tmp_path: Path, write_csv: Callable[..., Path]
) -> None:
    source = DataSource(source=str(write_csv(tmp_path / "all.csv", 50)))
    opened, said = Predictor.open(model), list[str]()

    whole = measured_data(source, opened, whole=True, note=said.append)
    part = measured_data(source, opened, whole=False)

    assert (len(whole), len(part)) == (50, 6)
    assert said[-1].endswith("is taken whole; --split test is what prune and finetune leave out")
    assert not {example.id for example in part.examples} - {
        example.id for example in whole.examples
    }


def test_peers_get_the_same_training_texts_for_the_same_seed(model: Path, data: Path) -> None:
    opened = Predictor.open(model)
    splits = Splits(DataSource(source=str(data)), task=opened.task.name)

    draws = [
        [feature.inputs["input_ids"].tolist() for feature in source.features(4)]
        for source in (peer_source(opened, splits, seed=seed) for seed in (3, 3, 4))
    ]

    assert draws[0] == draws[1] != draws[2]
    assert len(draws[0]) == 4
    assert len(peer_source(opened, splits, seed=0).features(1000)) == len(splits.examples)
