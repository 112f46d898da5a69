"""Graphs of other exporters: their answers are ONNX Runtime's own, and every verb takes them.

The matrix is exporter x types x shapes x names x task. What is fed is made by the test's own hand,
so that the judge shares nothing with the library.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from bertcompress.artifacts.graph_file import graph_path
from bertcompress.artifacts.manifest import artifact_bytes, kind_of
from bertcompress.bert.loading.load import load
from bertcompress.errors import LoadError, RunError
from bertcompress.graph.products import weight_products
from bertcompress.inference.predictor import Predictor
from bertcompress.runtimes.ort.runtime import run_graph
from fixtures.foreign_graphs import OUTPUTS, Form, foreign_folder, own_answers

TEXTS = ("good film", "the bad film is not good", "berlin", "anna lives in a bad berlin not good")
PAIR = "anna lives in berlin"

GOOGLE = ("input_ids", "input_mask", "segment_ids")
FORMS = {
    "dynamic": Form(),
    "hub order": Form(order=(0, 2, 1)),
    "other names": Form(inputs=GOOGLE, outputs=("output_0",)),
    "int32": Form(dtype=torch.int32),
    "one shape": Form(shape=(1, 32)),
    "batches of 3": Form(shape=(3, 32), dtype=torch.int32),
    "positions": Form(positions=True, inputs=GOOGLE),
    "no mask": Form(inputs=("input_ids", "", "token_type_ids")),
    "at the root": Form(place="model.onnx"),
    "a name of its own": Form(place="encoder.onnx"),
    "dynamo": Form(exporter="dynamo"),
    "dynamo, one shape": Form(exporter="dynamo", shape=(2, 32), dtype=torch.int32),
}
QUICK = ("other names", "batches of 3", "positions", "no mask", "dynamo")
TASKS = tuple(OUTPUTS)
SLOW = [
    (form, task) for form in FORMS for task in TASKS if not (form in QUICK and task == TASKS[0])
]

Folder = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def folder(
    tiny_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Makes the folder of a form and a task, once."""
    made: dict[tuple[str, str], Path] = {}

    def make(form: str, task: str = "text-classification") -> Path:
        if (form, task) not in made:
            target = tmp_path_factory.mktemp("foreign") / "model"
            made[form, task] = foreign_folder(tiny_folder(task), task, _form(form, task), target)
        return made[form, task]

    return make


def _form(name: str, task: str) -> Form:
    form = FORMS[name]
    if form.outputs and task == "question-answering":
        return Form(inputs=form.inputs, outputs=("output_0", "output_1"))
    return form


def _check(folder: Path, name: str, task: str) -> None:
    form = _form(name, task)
    with Predictor.open(folder) as model:
        pair = PAIR if task == "question-answering" else None
        from bertcompress.inference.predictor import examples_of

        features = model.encode(examples_of(task, TEXTS, pair=pair))
        rows = model.run(features)
    for row, own in zip(rows, own_answers(folder, form, features), strict=True):
        for output, values in zip(OUTPUTS[task], own, strict=True):
            np.testing.assert_allclose(row[output], values, atol=1e-5)


@pytest.mark.parametrize("form", QUICK)
def test_answers_are_those_of_onnx_runtime(form: str, folder: Folder) -> None:
    _check(folder(form, TASKS[0]), form, TASKS[0])


@pytest.mark.slow
@pytest.mark.parametrize(("form", "task"), SLOW)
def test_answers_of_all_forms_and_tasks(form: str, task: str, folder: Folder) -> None:
    _check(folder(form, task), form, task)


@pytest.mark.parametrize("form", ["dynamic", "dynamo"])
def test_products_are_named_after_their_modules(form: str, folder: Folder) -> None:
    graph = load(folder(form, TASKS[0])).graph  # type: ignore[union-attr]  # an OnnxModel
    names = {product.module for product in weight_products(graph)}

    layers = {f"bert.encoder.layer.{at}.attention.self.query" for at in range(2)}
    assert layers | {"classifier", "bert.pooler.dense"} <= names


@pytest.mark.parametrize("form", ["dynamic", "positions", "one shape"])
def test_our_form_answers_as_the_file_did(form: str, folder: Folder) -> None:
    place = folder(form, TASKS[0])
    model = load(place)
    with Predictor.open(place) as opened:
        features = opened.encode(examples(TEXTS))
        rows = opened.run(features)
    for row, feature in zip(rows, features, strict=True):
        feed = {name: np.asarray([feature.inputs[name]]) for name in feature.inputs}
        (found,) = run_graph(model.graph, [feed])  # type: ignore[union-attr]  # an OnnxModel
        np.testing.assert_allclose(found["logits"][0], row["logits"], atol=1e-5)


def examples(texts: tuple[str, ...]) -> tuple[object, ...]:
    from bertcompress.inference.predictor import examples_of

    return examples_of(TASKS[0], texts)


@pytest.mark.parametrize("bits", [8, 4])
def test_quantize_explain_and_evaluate_take_them(
    bits: int, folder: Folder, ok: Callable[..., str], data: Path, tmp_path: Path
) -> None:
    place, out = folder("other names", TASKS[0]), tmp_path / "out"
    how = ("--method", "dynamic") if bits == 8 else ()

    ok("quantize", place, "--bits", bits, *how, "--data", data, "-o", out)
    before, after = (
        json.loads(ok("evaluate", it, "--data", data, "--json")) for it in (place, out)
    )
    ok("explain", place)

    assert before.keys() == after.keys()


@pytest.mark.slow
@pytest.mark.parametrize("form", [*FORMS])
@pytest.mark.parametrize("how", ["dynamic", "static", "4"])
def test_all_forms_are_quantized(
    form: str, how: str, folder: Folder, ok: Callable[..., str], data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ("--bits", 4) if how == "4" else ("--bits", 8, "--method", how)

    ok("quantize", folder(form, TASKS[0]), *options, "--data", data, "-o", out)

    ok("evaluate", out, "--data", data)


def test_a_text_longer_than_the_graph_is_cut_as_at_any_limit(folder: Folder) -> None:
    with Predictor.open(folder("batches of 3", TASKS[0])) as model:
        assert model.max_length == 32
        (feature,) = model.encode(examples(("good " * 40,)))
        assert feature.length == 32
        assert len(model.run([feature])) == 1


def test_names_that_say_nothing_are_refused_by_name(
    tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    form = Form(inputs=("a", "b", "c"))
    place = foreign_folder(tiny_folder(TASKS[0]), TASKS[0], form, tmp_path / "model")

    with pytest.raises(LoadError, match="takes the inputs a, b, c, and it is not known what a, b,"):
        Predictor.open(place).run([])
    with pytest.raises(LoadError, match="export it with the input names input_ids, attention_mask"):
        load(place)


def test_outputs_of_another_task_are_refused(folder: Folder, tmp_path: Path) -> None:
    place = _copied(folder("dynamic", "question-answering"), tmp_path / "model")
    config = json.loads((place / "config.json").read_text())
    config["architectures"] = ["BertForSequenceClassification"]
    (place / "config.json").write_text(json.dumps(config))

    with pytest.raises(LoadError, match=r"gives start_logits, end_logits, and text-classification"):
        load(place)


def test_several_graphs_are_named_and_the_command_offered_leads_on(
    folder: Folder, tmp_path: Path
) -> None:
    place = _copied(folder("dynamic", TASKS[0]), tmp_path / "model")
    os.link(place / "onnx/model.onnx", place / "onnx/a.onnx")
    (place / "onnx/model.onnx").rename(place / "onnx/b.onnx")

    with pytest.raises(LoadError, match=r"holds 2 graphs, onnx/a\.onnx, onnx/b\.onnx") as told:
        kind_of(place)
    command = str(told.value).partition("such as: ")[2]
    subprocess.run(shlex.split(command), check=True)

    assert graph_path(place) == place / "onnx/model.onnx"
    assert load(place).kind == "onnx"


def test_with_weights_beside_it_the_runtime_chooses_and_says_so(
    folder: Folder, tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    place = _copied(folder("dynamic", TASKS[0]), tmp_path / "model")
    for file in tiny_folder(TASKS[0]).glob("*.safetensors"):
        os.link(file, place / file.name)
    told: list[str] = []

    def answered(runtime: str) -> list[float]:
        with Predictor.open(place, runtime=runtime, note=told.append) as model:
            return [float(row["logits"][0]) for row in model.run(model.encode(examples(TEXTS)))]

    np.testing.assert_allclose(answered("auto"), answered("ort-cpu"), atol=1e-5)
    assert "torch-cpu runs the weights; the graph with --runtime ort-cpu" in told[0]
    assert "ort-cpu runs the graph; the weights with --runtime torch-cpu" in told[1]
    assert load(place).kind == "checkpoint"


@pytest.mark.slow
@pytest.mark.parametrize("says_task", [True, False])
def test_bench_measures_them_beside_the_model(
    says_task: bool,
    folder: Folder,
    ok: Callable[..., str],
    fails: Callable[..., str],
    here: Path,
    model: Path,
    data: Path,
    short_quick: None,
) -> None:
    place = _copied(folder("other names", TASKS[0]), here / "foreign")
    common = ("--name", "ours", "--name", "theirs", "--data", data, "--quick", "--json")
    if not says_task:
        config = json.loads((place / "config.json").read_text())
        del config["architectures"]
        (place / "config.json").write_text(json.dumps(config))
        refused = fails(2, "bench", model, place, "--task", TASKS[0], *common, "-o", "report")
        line = re.search(r'write ("architectures": .*) into its config.json', refused)
        assert line is not None, refused
        (place / "config.json").write_text(json.dumps(config | json.loads(f"{{{line[1]}}}")))

    found = json.loads(ok("bench", model, place, *common, "-o", "report"))

    assert [row["name"] for row in found["variants"]] == ["ours", "theirs"]


def _copied(source: Path, target: Path) -> Path:
    import shutil

    return Path(shutil.copytree(source, target))


def _apart(place: Path, name: str = "model.onnx_data") -> Path:
    """Puts a graph's weights in a file beside it."""
    path = place / "onnx/model.onnx"
    graph = onnx.load_model(str(path))
    onnx.save_model(graph, str(path), save_as_external_data=True, location=name, size_threshold=64)
    return path.parent / name


def test_external_data_is_read_and_counted(folder: Folder, tmp_path: Path) -> None:
    place = _copied(folder("dynamic", TASKS[0]), tmp_path / "model")
    part = _apart(place)

    assert (
        artifact_bytes(place) == part.stat().st_size + part.with_name("model.onnx").stat().st_size
    )
    _check(place, "dynamic", TASKS[0])
    assert not any(t.external_data for t in load(place).graph.graph.initializer)  # type: ignore[union-attr]


def test_external_data_in_a_hub_cache_is_links(folder: Folder, tmp_path: Path) -> None:
    home = tmp_path / "models--a--b"
    (home / "snapshots").mkdir(parents=True)
    (home / "blobs").mkdir()
    place = _copied(folder("dynamic", TASKS[0]), home / "snapshots/1")
    _apart(place)
    for number, file in enumerate(sorted((place / "onnx").iterdir())):
        blob = home / f"blobs/{number}"
        file.rename(blob)
        file.symlink_to(blob)

    assert artifact_bytes(place) == sum(file.stat().st_size for file in (home / "blobs").iterdir())
    assert load(place).kind == "onnx"
    _check(place, "dynamic", TASKS[0])


def test_external_data_that_is_missing_cut_or_elsewhere_is_named(
    folder: Folder, tmp_path: Path
) -> None:
    place = _copied(folder("dynamic", TASKS[0]), tmp_path / "model")
    part = _apart(place)
    whole = part.read_bytes()

    part.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LoadError, match=r"model\.onnx_data is cut off: .* has \d+ bytes in it"):
        load(place)
    part.unlink()
    with pytest.raises(LoadError, match=r"keeps its weights in model\.onnx_data, which is missing"):
        Predictor.open(place)
    (tmp_path / "secret").write_bytes(whole)
    part.symlink_to(tmp_path / "secret")
    with pytest.raises(LoadError, match="which is not in its folder, and is not read"):
        load(place)


@pytest.mark.parametrize("location", ["../../secret", "/etc/passwd", ""])
def test_external_data_outside_the_folder_is_not_read(
    location: str, folder: Folder, tmp_path: Path
) -> None:
    place = _copied(folder("dynamic", TASKS[0]), tmp_path / "model")
    part = _apart(place)
    (tmp_path / "secret").write_bytes(part.read_bytes())
    path = part.with_name("model.onnx")
    graph = onnx.load_model(str(path), load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            entry.value = location if entry.key == "location" else entry.value
    path.write_bytes(graph.SerializeToString())

    with pytest.raises(LoadError, match="which is not in its folder, and is not read"):
        load(place)


def test_without_a_mask_one_shape_takes_only_texts_of_its_length(
    tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    form = Form(inputs=("input_ids", "", ""), shape=(1, 6))
    place = foreign_folder(tiny_folder(TASKS[0]), TASKS[0], form, tmp_path / "model")

    with Predictor.open(place) as model:
        assert model.run(model.encode(examples(("good film the bad",))))
        with pytest.raises(RunError, match="takes texts of exactly 6 tokens and no mask, got 3"):
            model.run(model.encode(examples(("good",))))
