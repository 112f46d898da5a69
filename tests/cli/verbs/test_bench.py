"""Models measured beside each other and beside peers, and what reads the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bertcompress.report.report_files import read_report

pytestmark = pytest.mark.slow

Ok = Callable[..., str]
Run = Callable[..., CompletedProcess[str]]


def test_bench_writes_a_report_that_gate_and_report_read(
    ok: Ok, fails: Ok, here: Path, model: Path, data: Path, short_quick: None
) -> None:
    ok("export", model, "-o", "float")
    ok("quantize", "float", "--method", "dynamic", "-o", "small")
    named = ("--name", "all", "--name", "half")

    line = ("bench", "float", "small", *named, "--data", data, "-o", "report", "--quick", "--json")
    found = json.loads(ok(*line))

    assert [row["name"] for row in found["variants"]] == ["all", "half"]
    assert read_report(Path("report")).command.startswith("bertcompress bench ")
    assert "1 of 1 gates passed" in ok("gate", "report", "--max-size", "30MB")
    assert "are allowed" in fails(4, "gate", "report/report.json", "--max-size", "1kB")
    assert "needs a bound" in fails(2, "gate", "report")
    assert ok("report", "report").startswith("# ")
    assert json.loads(ok("report", "report", "--json"))["variants"] == found["variants"]
    assert ok("report", "report", "-o", "copy") == "copy/report.html"
    again, first = (here / name / "report.json" for name in ("copy", "report"))
    assert again.read_text() == first.read_text()


def test_peers_are_measured_beside_the_models(
    ok: Ok,
    here: Path,
    model: Path,
    data: Path,
    short_quick: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bertcompress.bench import peers
    from bertcompress.recipes import measure as bench_report

    chosen = [one for one in peers.PEERS if one.recipe == "transformers-bf16"]
    chosen.append(peers.Peer("Other INT8", "other", ("no_such_library",)))
    monkeypatch.setattr(bench_report, "make_peers", partial(peers.make_peers, peers=chosen))

    ok("bench", model, "--name", "all", "--data", data, "-o", "report", "--quick", "--peers")

    report = read_report(Path("report"))
    assert [(one.name, one.kind) for one in report.results] == [
        ("all", "checkpoint"),
        ("Transformers BF16", "peer"),
    ]
    assert report.settings.peers
    assert report.skipped[0].startswith("Other INT8 was not measured: no_such_library is not inst")
    page = Path("report/report.html").read_text(encoding="utf-8")
    assert "Beside what others make" in page
    assert "Other INT8 was not measured" in page
    assert sorted(path.name for path in Path("report").iterdir()) == [
        "report.html",
        "report.json",
        "report.md",
    ]


def test_peers_are_made_from_a_checkpoint_only(
    ok: Ok, fails: Ok, here: Path, model: Path, data: Path
) -> None:
    ok("export", model, "-o", "graph")

    line = ("bench", "graph", "--data", data, "-o", "report", "--quick", "--peers")
    assert "--peers needs a checkpoint among the models" in fails(2, *line)
    assert not Path("report").exists()


def test_a_recipe_asks_for_peers_in_its_benchmark(
    ok: Ok, here: Path, quick_recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertcompress.bench import peers
    from bertcompress.recipes import measure as bench_report

    chosen = [one for one in peers.PEERS if one.recipe == "transformers-fp32"]
    monkeypatch.setattr(bench_report, "make_peers", partial(peers.make_peers, peers=chosen))
    recipe = quick_recipe("FP32: []")
    recipe.write_text(recipe.read_text().replace("bench: {", "bench: {peers: true, "))

    ok("run", recipe, "-o", "made")

    assert [one.name for one in read_report(Path("made/report")).results] == [
        "FP32",
        "Transformers FP32",
    ]


def test_a_recipe_that_trains_first_or_starts_from_a_graph_has_no_peers(
    ok: Ok, fails: Ok, here: Path, model: Path, quick_recipe: Callable[..., Path]
) -> None:
    ok("export", model, "-o", "graph")
    train = quick_recipe("FP32: []", more="base: [{finetune: {epochs: 1}}]", bench="{peers: true}")

    assert "fine-tuned already, and base trains it" in fails(2, "run", train, "--dry-run")
    graph = quick_recipe("FP32: []", bench="{peers: true}")
    graph.write_text(graph.read_text().replace(str(model), str(here / "graph")))
    assert "needs a checkpoint to make them from" in fails(2, "run", graph, "--dry-run")


def test_bench_needs_one_name_a_model(fails: Ok, here: Path, model: Path, data: Path) -> None:
    line = ("bench", model, "--data", data, "-o", "report", "--name", "a", "--name", "b")

    assert "2 names were given for 1 models" in fails(2, *line)


def test_bench_saves_the_best_settings_and_predict_uses_them(
    bc: Run,
    ok: Ok,
    here: Path,
    model: Path,
    data: Path,
    short_quick: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bertcompress.artifacts.artifact import read_manifest
    from bertcompress.bench import settings, tuning

    monkeypatch.setattr(tuning, "UNSTEADY", 99.0)  # a busy machine must not fail this test
    short = replace(settings.QUICK, tune_batches=(1, 4), tune_slice_s=0.005)
    monkeypatch.setattr(settings, "QUICK", short)
    ok("export", model, "-o", "graph")
    bench = ("bench", "graph", "--data", data, "--quick", "--tune", "--passage-length", 384)
    page = ok(*bench, "-o", "report")

    report = read_report(Path(page).parent)
    assert report.results[0].tuning is not None
    assert report.results[0].tuning.saved
    assert report.skipped == ("passages of 384 tokens were left out: graph reads at most 128",)
    manifest = read_manifest(Path("graph"))
    assert manifest is not None
    assert list(manifest.runtime) == ["ort-cpu"]
    line = ("predict", "graph", "good film", "bad film")
    assert "settings" not in bc(*line).stderr
    path = Path("graph/bertcompress.json")
    cpu = json.dumps(report.environment.cpu_model)
    path.write_text(path.read_text(encoding="utf-8").replace(cpu, '"Another"'), encoding="utf-8")
    outcome = bc(*line)
    assert outcome.returncode == 0
    assert "note: its settings were found best on Another and are not used" in outcome.stderr
