"""Verbs that answer and measure: evaluate, predict, calibrate, bench, report, gate, show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bertcompress.report.report_files import read_report

Ok = Callable[..., str]
Run = Callable[..., CompletedProcess[str]]


def test_evaluate_prints_the_metrics_of_the_test_split(ok: Ok, model: Path, data: Path) -> None:
    found = json.loads(ok("evaluate", model, "--data", data, "--json"))

    assert found["count"] == 12
    assert found["split"] == "test"
    assert found["metric"] == "accuracy"
    assert found["value"] == found["values"]["accuracy"]
    assert found["runtime"] == "torch-cpu"
    assert "accuracy" in ok("evaluate", model, "--data", data)


def test_a_single_file_is_evaluated_whole_and_partitioned_for_pruning(
    ok: Ok, here: Path, model: Path, write_csv: Callable[..., Path]
) -> None:
    from bertcompress.artifacts.artifact import read_manifest

    file = write_csv(here / "all.csv", 50)

    assert json.loads(ok("evaluate", model, "--data", file, "--json"))["count"] == 50
    ok("prune", model, "--heads", "0.3", "--data", file, "-o", "small")
    manifest = read_manifest(here / "small")
    assert manifest is not None
    assert str(manifest.history[0].settings["examples"]).startswith("40 examples")


def test_splits_limits_and_label_maps_are_obeyed(
    ok: Ok, here: Path, model: Path, data: Path, write_csv: Callable[..., Path]
) -> None:
    numbers = write_csv(here / "test.csv", 20, labels=("0", "1"))
    renamed = ("--label-map", "0=negative,1=positive")

    split = ("--split", "validation", "--limit", "4")
    assert json.loads(ok("evaluate", model, "--data", data, *split, "--json"))["count"] == 4
    found = json.loads(ok("evaluate", model, "--data", numbers, *renamed, "--json"))
    assert found["count"] == 20


def test_embeddings_are_compared_with_the_original(
    ok: Ok, tiny_folder: Callable[..., Path], data: Path
) -> None:
    model = tiny_folder(task="feature-extraction")

    line = ("evaluate", model, "--reference", model, "--data", data, "--json")
    assert json.loads(ok(*line))["values"]["cosine_to_reference"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("task", "typed", "key"),
    [
        ("text-classification", ("a good film", "a bad film"), "label"),
        ("token-classification", ("anna lives in berlin", "who is anna"), "entities"),
        (
            "question-answering",
            ("who lives", "is anna", "--pair", "anna lives in berlin"),
            "answer",
        ),
    ],
)
def test_predict_prints_one_object_a_text(
    ok: Ok, tiny_folder: Callable[..., Path], task: str, typed: tuple[str, ...], key: str
) -> None:
    lines = ok("predict", tiny_folder(task=task), *typed).splitlines()

    assert len(lines) == 2
    assert all(key in json.loads(line) for line in lines)


def test_predict_answers_a_file_and_texts_in_a_workspace(
    ok: Ok, fails: Ok, workspace: Path, data: Path
) -> None:
    assert len(ok("predict", "--input", data / "test.csv").splitlines()) == 12
    assert json.loads(ok("predict", "the film is good"))["label"] in ("negative", "positive")
    assert "a text" in fails(2, "predict")


def test_a_saved_table_gives_the_same_graph(ok: Ok, fails: Ok, here: Path, workspace: Path) -> None:
    ok("export")
    table = ok("calibrate", "-o", "table.safetensors", "--samples", "10")
    ok("quantize", "artifacts/001-export", "--table", table, "-o", "from-table")
    ok(
        "quantize",
        "artifacts/001-export",
        "--method",
        "static",
        "--samples",
        "10",
        "-o",
        "from-data",
    )

    graphs = [
        (here / name / "onnx/model.onnx").read_bytes() for name in ("from-table", "from-data")
    ]
    assert graphs[0] == graphs[1]
    other = fails(1, "quantize", "--table", "none.safetensors", "-o", "x")
    assert "none.safetensors" in other


def test_calibrate_says_how_stable_the_ranges_are(ok: Ok, fails: Ok, workspace: Path) -> None:
    ok("export")
    line = ("calibrate", "artifacts/001-export", "--samples", "10")
    found = json.loads(ok(*line, "--seeds", "3", "-o", "t.safetensors", "--json"))

    assert (found["samples"], found["split"], found["method"]) == (10, "train", "percentile")
    assert found["stability"]["seeds"] == [0, 1, 2]
    changes = found["stability"]["changes"]
    assert changes[found["stability"]["least_stable"]] == found["stability"]["largest_change"]
    assert len(changes) == found["tensors"] < found["modules"]
    assert "test split" in fails(2, *line, "--split", "test")
    assert "test split" in fails(2, "quantize", line[1], "--split", "test", "-o", "x")


def test_a_table_is_decided_again_without_model_and_data(
    ok: Ok, fails: Ok, here: Path, workspace: Path
) -> None:
    ok("export")
    ok("calibrate", "artifacts/001-export", "--samples", "10", "-o", "one.safetensors")
    again = ("--table", "one.safetensors", "--method", "mse", "-o", "again.safetensors")
    ok("calibrate", *again)
    measured = ("artifacts/001-export", "--samples", "10", "--method", "mse")
    ok("calibrate", *measured, "-o", "two.safetensors")

    files = [(here / f"{name}.safetensors").read_bytes() for name in ("again", "two")]
    assert files[0] == files[1]
    assert "leave all but --method" in fails(2, "calibrate", *again, "--samples", "5")


def test_random_words_are_taken_only_by_name(ok: Ok, fails: Ok, here: Path, model: Path) -> None:
    line = ("calibrate", model, "--samples", "6", "-o", "t.safetensors", "--json")

    assert "needs data" in fails(2, *line)
    assert json.loads(ok(*line, "--random"))["split"] == "random"
    assert "--random takes no data" in fails(2, *line, "--random", "--data", "x.csv")


def test_four_bits_and_no_embeddings(ok: Ok, here: Path, model: Path) -> None:
    ok("export", model, "-o", "graph")
    small = json.loads(ok("quantize", "graph", "--bits", "4", "-o", "int4", "--json"))
    line = ("quantize", "graph", "--method", "dynamic", "--no-embeddings", "-o", "int8", "--json")
    bigger = json.loads(ok(*line))

    assert small["steps"] == ["ExportOnnx", "QuantizeWeights"]
    assert bigger["steps"] == ["ExportOnnx", "QuantizeDynamic"]
    assert small["size_bytes"] < bigger["size_bytes"]


def test_a_target_size_is_kept_or_refused(ok: Ok, fails: Ok, here: Path, workspace: Path) -> None:
    ok("export")
    line = ("quantize", "artifacts/001-export", "--samples", "16")
    ok(*line, "--target-size", "90kB", "-o", "small")
    floats = (here / "artifacts/001-export/onnx/model.onnx").stat().st_size
    assert (here / "small/onnx/model.onnx").stat().st_size <= 90_000 < floats

    assert "smallest file" in fails(4, *line, "--target-size", "9kB", "-o", "smaller")
    assert not (here / "smaller").exists()


def test_show_says_how_an_artifact_was_made(ok: Ok, here: Path, model: Path) -> None:
    ok("prune", model, "--heads", "0.3", "-o", "small")

    found = json.loads(ok("show", "small", "--json"))
    assert found["kind"] == "checkpoint"
    assert [step["name"] for step in found["steps"]] == ["PruneHeads"]
    assert "PruneHeads" in ok("show", "small")
    assert "negative, positive" in ok("show", model)


def test_show_maps_what_pruning_removed(ok: Ok, here: Path, model: Path) -> None:
    ok("prune", model, "--heads", "0.3", "-o", "small")
    path = here / "small" / "bertcompress.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    piece = {"unit": "heads", "layer": 0, "removed": 1, "of": 2, "by_score": 0.01, "in_truth": 0.02}
    manifest["history"][-1]["details"]["explain"] = {
        "head_costs": [[0.3, 0.01]],
        "heads_kept": [[0]],
        "ffn_before": [64],
        "ffn_after": [64],
        "ffn_costs": [[]],
        "pieces": [piece],
        "cost_unit": "KL, nats",
    }
    path.write_text(json.dumps(manifest), encoding="utf-8")

    text = ok("show", "small")
    facts = json.loads(ok("show", "small", "--json"))

    assert "0  #.         1 of 2  ########  64 of 64" in text
    assert re.search(r"layer 0, heads +1 of 2 +0\.01 +0\.02", text)
    assert facts["steps"][-1]["details"]["explain"]["pieces"] == [piece]


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


def test_an_accuracy_gate_is_exit_code_3(fails: Ok, here: Path, ok: Ok) -> None:
    assert "can't read" in fails(1, "gate", "nowhere", "--max-drop", "1%")
    assert "takes a quantity such as" in fails(2, "gate", "nowhere", "--max-drop", "little")


def test_bench_needs_one_name_a_model(fails: Ok, here: Path, model: Path, data: Path) -> None:
    line = ("bench", model, "--data", data, "-o", "report", "--name", "a", "--name", "b")

    assert "2 names were given for 1 models" in fails(2, *line)


def test_the_demo_is_a_recipe_that_run_takes(
    ok: Ok, here: Path, model: Path, data: Path, short_quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertcompress_cli.verbs import demo

    short = re.sub(r"epochs: \d+", "epochs: 1", demo._RECIPE)
    short = re.sub(r"samples: \d+", "samples: 8", short)
    monkeypatch.setattr(demo, "_RECIPE", short)

    found = json.loads(ok("demo", "-o", "made", "--model", model, "--data", data, "--json"))

    names = [row["name"] for row in found["variants"]]
    assert names == ["FP32", "pruned", "INT8", "pruned + INT8", "INT4"]
    plan = json.loads(ok("run", "made/recipe.yaml", "--dry-run", "--json"))["variants"]
    assert all(step["finished"] for steps in plan.values() for step in steps)


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
    assert "note:" not in bc(*line).stderr
    path = Path("graph/bertcompress.json")
    cpu = json.dumps(report.environment.cpu_model)
    path.write_text(path.read_text(encoding="utf-8").replace(cpu, '"Another"'), encoding="utf-8")
    outcome = bc(*line)
    assert outcome.returncode == 0
    assert "note: its settings were found best on Another and are not used" in outcome.stderr
