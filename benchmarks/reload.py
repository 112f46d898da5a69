"""Does what pruning writes load everywhere: every form, in fresh processes of every kind.

Prunes real models, saves them in all forms, loads each in a process that has only what its route
allows (see `reload_child.py`), and compares the logits of the same sentences with those of the
pruned model in memory here:

    python benchmarks/reload.py --transformers4 PYTHON --out benchmarks/reports/reload

Writes OUT.json and OUT.md; exit code 1 if any difference is outside its bound or a load failed. A
route that has no interpreter or library here is left out by name.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.bench.worker.client import thread_variables
from bertcompress.bert.loading.load import load
from bertcompress.bert.surgery import cut
from bertcompress.data import load_dataset
from bertcompress.examples import TextExample, TokenExample
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune import Prune
from bertcompress.passes.prune.prune_vocabulary import PruneVocabulary
from bertcompress.passes.prune.relayout import Relayout
from reload_child import transformers_batches
from reload_report import BOUNDS, ROUTES, Found, cell, left_out, versions_of, write

MODELS = {"minilm-sst2": "sst2", "minilm-conll2003": "conll2003"}
SENTENCES, SAMPLES, REMOVED = 64, 256, 0.5
HERE = Path(__file__).resolve().parent
LEGACY_HEADS = {0: [1, 3], 2: [0], 3: [2, 4, 5, 7], 5: [11]}
"""Heads that the legacy checkpoint loses, by layer."""
COMMAND = "import sys; from bertcompress_cli.main import main; sys.exit(main())"

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Form:
    """One folder to load, and what its answers must be.

    Attributes:
        name: As the report calls it.
        folder: Where it lies.
        expected: Logits of the model in memory, flat.
        routes: The keys of `ROUTES` that load it.
        trust: Whether Transformers alone needs ``trust_remote_code=True``.
    """

    name: str
    folder: Path
    expected: Logits
    routes: tuple[str, ...]
    trust: bool = False


def main() -> int:
    """Makes, loads, compares, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transformers5", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--transformers4", metavar="PYTHON")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    pythons = {"5": arguments.transformers5, "4": arguments.transformers4}
    shared = Path(os.environ.get("BERTCOMPRESS_SHARED", HERE.parents[1] / "shared"))
    torch.set_num_threads(1)
    found: list[Found] = []
    for name, data in MODELS.items():
        with tempfile.TemporaryDirectory(prefix="bertcompress-reload-") as scratch:
            found += prove(name, shared, data, Path(scratch), pythons)
    write(arguments.out, found, versions_of(pythons), sentences=SENTENCES)
    for one in found:
        if not one.passed:
            print(f"error: {one.model}, {one.form}, {one.route}: {one}", file=sys.stderr)
    return 0 if all(one.passed for one in found) else 1


def prove(
    name: str, shared: Path, data: str, scratch: Path, pythons: dict[str, str | None]
) -> list[Found]:
    """Makes all forms of one model and loads each by all its routes."""
    model = shared / "models" / name
    checkpoint = load(model)
    assert isinstance(checkpoint, Checkpoint)
    test = load_dataset(
        shared / "data" / data, task=checkpoint.task, split="test", limit=SENTENCES
    ).examples
    train = load_dataset(shared / "data" / data, task=checkpoint.task, split="train").examples
    texts = [text_of(one) for one in test]
    (scratch / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    print(f"{name}: pruning", file=sys.stderr)
    pruned = Prune(heads=REMOVED, ffn=REMOVED, samples=SAMPLES)(checkpoint, Context(train))
    smaller = PruneVocabulary()(pruned, Context((*train, *test)))
    forms = list(pruned_forms(pruned, smaller, model, texts, scratch))
    found = []
    if pythons["4"] is None:
        found.append(left_out(name, "legacy `pruned_heads`", "4-alone", "needs --transformers4"))
    else:
        forms += legacy_forms(checkpoint, model, texts, scratch, pythons["4"])
    for form in forms:
        for route in form.routes:
            found.append(attempt(name, form, route, checkpoint.task, scratch, pythons))
            print(f"{name}: {form.name}, {route}: {cell(found[-1])}", file=sys.stderr)
    return found


def pruned_forms(
    pruned: Checkpoint, smaller: Checkpoint, model: Path, texts: list[str], scratch: Path
) -> Iterator[Form]:
    """Yields the pruned model in every form that a user can ask for."""
    expected = answers(pruned, model, texts)
    checkpoints = tuple(route for route in ROUTES if route[0] in "54")
    graphs = ("onnxruntime", "openvino")
    own, small = save(pruned, scratch / "own"), save(smaller, scratch / "vocabulary")
    yield Form("own class (`auto_map`)", own, expected, checkpoints, trust=True)
    yield Form("vocabulary-pruned", small, expected, checkpoints, trust=True)
    for layout in ("dense", "uniform"):
        stock = save(Relayout(layout)(pruned), scratch / layout)
        yield Form(f"`--layout {layout}`", stock, expected, checkpoints)
    for name, one in {"ONNX": pruned, "vocabulary-pruned, ONNX": smaller}.items():
        yield Form(name, save(ExportOnnx()(one), scratch / name), expected, graphs)


def legacy_forms(
    checkpoint: Checkpoint, model: Path, texts: list[str], scratch: Path, python: str
) -> Iterator[Form]:
    """Yields what Transformers 4 wrote after ``prune_heads``, as it is and converted."""
    legacy, converted = scratch / "legacy", scratch / "converted"
    heads = json.dumps(LEGACY_HEADS)
    made = child(python, "prune-heads", checkpoint.task, model, heads, legacy, scratch)
    if made.returncode != 0:
        raise SystemExit(f"error: no legacy checkpoint was made: {made.stderr[-500:]}")
    config = checkpoint.model.config
    kept = tuple(
        tuple(head for head in range(config.num_attention_heads) if head not in gone)
        for gone in (LEGACY_HEADS.get(layer, []) for layer in range(config.num_hidden_layers))
    )
    expected = answers(replace(checkpoint, model=cut(checkpoint.model, heads=kept)), model, texts)
    yield Form("legacy `pruned_heads`", legacy, expected, ("4-alone",))
    command = [sys.executable, "-c", COMMAND, "convert-legacy", str(legacy), "-o", str(converted)]
    subprocess.run(command, check=True, env=environment(scratch), stdout=sys.stderr)
    checkpoints = tuple(route for route in ROUTES if route[0] in "54")
    yield Form("after `convert-legacy`", converted, expected, checkpoints, trust=True)
    again = load(converted)
    graph = save(ExportOnnx()(again), scratch / "converted-graph")
    yield Form("after `convert-legacy`, ONNX", graph, expected, ("onnxruntime", "openvino"))


def attempt(
    model: str,
    form: Form,
    route: str,
    task: str,
    scratch: Path,
    pythons: dict[str, str | None],
) -> Found:
    """Loads a form in a fresh process and compares."""
    version, _, kind = route.partition("-")
    bound = BOUNDS["torch" if kind else "graph"]
    python = pythons.get(version, pythons["5"])
    if python is None:
        return left_out(model, form.name, route, "needs --transformers4")
    how = {"alone": "trust" if form.trust else "stock", "": route}.get(kind, kind)
    out = scratch / "answers.npy"
    out.unlink(missing_ok=True)
    done = child(python, how, task, form.folder, str(scratch / "texts.json"), out, scratch)
    last = (done.stderr.strip().splitlines() or ["no reason"])[-1]
    if done.returncode == 5:
        return left_out(model, form.name, route, last)
    if done.returncode != 0:
        return Found(model, form.name, route, None, bound, error=last)
    got = np.load(out)
    if got.shape != form.expected.shape:
        return Found(model, form.name, route, None, bound, error="other tokens")
    return Found(model, form.name, route, float(np.abs(got - form.expected).max()), bound)


def child(
    python: str, route: str, task: str, folder: Path, texts: str, out: Path, scratch: Path
) -> subprocess.CompletedProcess[str]:
    """Runs `reload_child.py`; isolated, so that PYTHONPATH and this folder are not seen."""
    isolated = [] if route == "bertcompress" else ["-I"]
    script = str(HERE / "reload_child.py")
    return subprocess.run(
        [python, *isolated, script, route, task, str(folder), texts, str(out)],
        env=environment(scratch),
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
    )


def environment(scratch: Path) -> dict[str, str]:
    """One thread, no hub, and a place of its own for the code that ``auto_map`` names."""
    paths = [str(HERE.parent / part) for part in (".", "calibration", "cli")]
    return {
        **os.environ,
        **thread_variables(1),
        "HF_HOME": str(scratch / "hub"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]),
    }


def answers(checkpoint: Checkpoint, tokenizer: Path, texts: list[str]) -> Logits:
    """Returns the logits of the model in memory, flat, padding left out."""
    rows = []
    for batch in transformers_batches(str(tokenizer), texts):
        with torch.inference_mode():
            logits = checkpoint.model.eval()(**batch).logits.numpy()
        lengths = batch["attention_mask"].sum(dim=1).tolist()
        rows += [
            row if logits.ndim == 2 else row[:n] for row, n in zip(logits, lengths, strict=True)
        ]
    return np.concatenate([row.ravel() for row in rows])


def text_of(example: object) -> str:
    """Returns the sentence of an example."""
    if isinstance(example, TokenExample):
        return " ".join(example.words)
    assert isinstance(example, TextExample)
    return example.text


if __name__ == "__main__":
    sys.exit(main())
