"""What calibration costs at the size of BERT-base and BERT-large: seconds, and peak memory.

Builds graphs with random weights and a tokenizer that is at hand, and calibrates each on real
training texts, in a process of its own that does nothing else:

    python benchmarks/calibration_cost.py TOKENIZER DATA --out benchmarks/reports/calibration-cost

Writes OUT.json and OUT.md, and exits with 1 where a case took more than it may: BERT-base on 300
texts 90 s and 3 GB, all in all; BERT-large on 512 texts 2 GB above what the model itself takes,
which is in memory before. Time and memory do not depend on what the weights are; ranges would, and
none are looked at. With --words N, texts are joined until each has N words, for the cost of long
ones.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from bert_base_pass import peak_bytes, texts


@dataclass(frozen=True)
class Case:
    """A model's size, how many texts, and what that may cost.

    Attributes:
        name: What the report calls it.
        layers: How many.
        hidden: The width; there are ``hidden / 64`` heads and ``4 * hidden`` neurons.
        samples: Texts to calibrate on.
        max_seconds: What it may take.
        max_bytes: Peak memory of the whole process; None where it has no bound.
        max_added_bytes: Peak memory above what the loaded model takes; None without a bound.
    """

    name: str
    layers: int
    hidden: int
    samples: int
    max_seconds: float | None = None
    max_bytes: float | None = None
    max_added_bytes: float | None = None


CASES = (
    Case("BERT-base", 12, 768, 300, max_seconds=90, max_bytes=3e9),
    Case("BERT-large", 24, 1024, 512, max_added_bytes=2e9),
)
TINY = (Case("tiny", 2, 128, 40),)


def main() -> int:
    """Builds each model, calibrates it in a fresh process, writes, and says whether it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokenizer", help="a Transformers folder with a tokenizer")
    parser.add_argument("data")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--words", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="a tiny model, to try this script")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--build", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case is not None:  # a fresh process
        case = Case(**json.loads(arguments.case))
        step = build if arguments.build else measure
        print(json.dumps(step(case, arguments)))
        return 0
    found = [both(case, arguments) for case in (TINY if arguments.tiny else CASES)]
    text = table(found)
    print("\n".join(text))
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.with_suffix(".md").write_text("\n".join(text) + "\n", encoding="utf-8")
        arguments.out.with_suffix(".json").write_text(json.dumps(found) + "\n", encoding="utf-8")
    return 0 if all(one["kept"] for one in found) else 1


def both(case: Case, arguments: argparse.Namespace) -> dict[str, Any]:
    """Builds and measures one case, each in a process of its own, and says if its bounds hold."""
    with tempfile.TemporaryDirectory() as folder:
        in_fresh_process(case, arguments, folder, "--build")
        found = in_fresh_process(case, arguments, folder)
    pairs = (
        (found["seconds"], case.max_seconds),
        (found["peak_bytes"], case.max_bytes),
        (found["added_bytes"], case.max_added_bytes),
    )
    kept = all(most is None or value <= most for value, most in pairs)
    return {**asdict(case), **found, "kept": kept}


def in_fresh_process(
    case: Case, arguments: argparse.Namespace, folder: str, *more: str
) -> dict[str, Any]:
    """Runs this file again, so that nothing but this step counts in its memory."""
    command = [sys.executable, __file__, arguments.tokenizer, arguments.data, "--folder", folder]
    command += ["--case", json.dumps(asdict(case)), *more]
    for name in ("threads", "words"):
        command += [f"--{name}", str(getattr(arguments, name))]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def build(case: Case, arguments: argparse.Namespace) -> dict[str, Any]:
    """Writes the float graph of a classifier of that size, its weights random."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from bertcompress.artifacts.artifact import save
    from bertcompress.bert.loading.load import load
    from bertcompress.passes.export.export_onnx import ExportOnnx

    torch.manual_seed(0)
    config = BertConfig(
        num_labels=2,
        num_hidden_layers=case.layers,
        hidden_size=case.hidden,
        num_attention_heads=case.hidden // 64,
        intermediate_size=4 * case.hidden,
    )
    checkpoint = arguments.folder / "checkpoint"
    BertForSequenceClassification(config).save_pretrained(checkpoint)
    AutoTokenizer.from_pretrained(arguments.tokenizer).save_pretrained(checkpoint)
    save(ExportOnnx()(load(checkpoint)), arguments.folder / "graph")
    return {}


def measure(case: Case, arguments: argparse.Namespace) -> dict[str, Any]:
    """Calibrates and returns what it took."""
    from bertcompress.artifacts.artifact import OnnxModel, library_versions
    from bertcompress.bert.loading.load import load
    from bertcompress.machine.environment import read_environment
    from bertcompress.tasks import make_task
    from bertcompress_calibration import calibrate

    examples = texts(arguments.data, case.samples, words=arguments.words)
    model = load(arguments.folder / "graph")
    assert isinstance(model, OnnxModel)
    loaded = resident_bytes()
    task = make_task(model.task, model.config)
    started, started_cpu = time.perf_counter(), time.process_time()
    with Watch() as memory:
        made = calibrate(
            model, examples, task=task, samples=case.samples, threads=arguments.threads
        )
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    return {
        "cpu": read_environment(threads=arguments.threads, thread_variables={}).cpu_model,
        "threads": arguments.threads,
        "versions": library_versions("numpy", "onnxruntime"),
        "words": sum(len(one.text.split()) for one in examples),
        "tokens": max(one.count // len(one.channel_mean) for one in made.ranges.values()),
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "loaded_bytes": loaded,
        "peak_bytes": peak_bytes(),
        "added_bytes": memory.most - loaded,
    }


class Watch:
    """Looks at this process's memory a hundred times a second while the block runs.

    The largest resident set that the system remembers may be that of loading the model.
    """

    def __init__(self) -> None:
        self.most = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._done.wait(0.01):
            self.most = max(self.most, resident_bytes())

    def __enter__(self) -> Self:
        self.most = resident_bytes()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()


def resident_bytes() -> int:
    """Returns what this process holds in memory now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def table(found: list[dict[str, Any]]) -> list[str]:
    """Returns the report in Markdown."""
    first = found[0]
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
    rows = [
        f"| {one['name']} | {one['samples']} | {one['tokens']:,} | {one['seconds']:.0f} "
        f"| {one['processor_seconds']:.0f} | {one['loaded_bytes'] / 1e9:.2f} "
        f"| {one['added_bytes'] / 1e9:.2f} | {one['peak_bytes'] / 1e9:.2f} | {bounds(one)} "
        f"| {'yes' if one['kept'] else 'no'} |"
        for one in found
    ]
    return [
        f"{first['cpu']}, {first['threads']} threads; {versions}; random weights, training texts. "
        "*Loaded* is the process with the model in memory before calibration, *added* what "
        "calibration takes above that, *peak* the largest resident set, loading included.",
        "",
        "| model | texts | tokens | s | processor s "
        "| GB loaded | GB added | GB peak | may take | kept |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|---|",
        *rows,
    ]


def bounds(one: dict[str, Any]) -> str:
    """Returns what a case may take, in words."""
    said = []
    if one["max_seconds"] is not None:
        said.append(f"{one['max_seconds']:.0f} s")
    if one["max_bytes"] is not None:
        said.append(f"{one['max_bytes'] / 1e9:.0f} GB peak")
    if one["max_added_bytes"] is not None:
        said.append(f"{one['max_added_bytes'] / 1e9:.0f} GB added")
    return ", ".join(said)


if __name__ == "__main__":
    sys.exit(main())
