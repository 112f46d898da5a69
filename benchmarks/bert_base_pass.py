"""What the one-shot pass costs at the size of BERT-base: seconds of each stage, and peak memory.

Builds a BERT of 12 layers, 768 wide, with random weights and a tokenizer that is at hand, and
prunes half of its heads and neurons on real texts, in a process of its own:

    python benchmarks/bert_base_pass.py TOKENIZER DATA --out benchmarks/reports/bert-base

Writes OUT.json and OUT.md, and exits with 1 where the pass took longer, or more memory, than it
may: 15 minutes, 8 GB. Time and memory do not depend on what the weights are; answers would, and
none are looked at. Processor seconds are recorded beside those of the clock: on a machine that does
other things as well they are the ones to compare. With --words N, texts are joined until each has N
words, for the cost of long ones.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MAX_SECONDS, MAX_BYTES = 15 * 60, 8_000_000_000
SAMPLES = 1024


def main() -> int:
    """Builds the model, runs the pass in a fresh process, writes, and says whether it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokenizer", help="a Transformers folder with a tokenizer")
    parser.add_argument("data")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--words", type=int, default=0)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:  # the fresh process
        print(json.dumps(measure(arguments)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        build(Path(arguments.tokenizer), Path(folder))
        found = in_fresh_process(arguments, folder)
    text = table(found)
    print("\n".join(text))
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.with_suffix(".md").write_text("\n".join(text) + "\n", encoding="utf-8")
        arguments.out.with_suffix(".json").write_text(json.dumps(found) + "\n", encoding="utf-8")
    return 0 if found["seconds"] <= MAX_SECONDS and found["peak_bytes"] <= MAX_BYTES else 1


def build(tokenizer: Path, folder: Path) -> None:
    """Writes a folder with a BERT-base for two classes, its weights random."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    BertForSequenceClassification(BertConfig(num_labels=2)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)


def in_fresh_process(arguments: argparse.Namespace, folder: str) -> dict[str, Any]:
    """Runs this file again, so that nothing but the pass counts in its memory."""
    command = [sys.executable, __file__, "--measure", folder, arguments.data]
    for name in ("threads", "samples", "words"):
        command += [f"--{name}", str(getattr(arguments, name))]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Prunes and returns what it took."""
    import torch

    from bertcompress.artifacts.artifact import Checkpoint, library_versions
    from bertcompress.bert.loading.load import load
    from bertcompress.machine.environment import read_environment
    from bertcompress.passes.context import Context
    from bertcompress.passes.prune.prune import Prune

    torch.set_num_threads(arguments.threads)
    checkpoint = load(arguments.tokenizer)
    assert isinstance(checkpoint, Checkpoint)
    examples = texts(arguments.data, arguments.samples, words=arguments.words)
    clock = Clock()
    started, started_cpu = time.perf_counter(), time.process_time()
    result = Prune(heads=0.5, ffn=0.5, samples=arguments.samples)(
        checkpoint, Context(examples, progress=clock)
    )
    clock("rest", 1, 1)
    return {
        "cpu": read_environment(threads=arguments.threads, thread_variables={}).cpu_model,
        "threads": arguments.threads,
        "versions": library_versions("torch", "transformers"),
        "samples": len(examples),
        "words": sum(len(one.text.split()) for one in examples),
        "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - started_cpu,
        "peak_bytes": peak_bytes(),
        "stages": clock.stages,
        "removed": result.history[-1].details["removed"],
    }


def texts(data: str, count: int, *, words: int) -> Any:
    """Returns training texts, joined until each has the given number of words."""
    from bertcompress.data import load_dataset
    from bertcompress.examples import TextExample

    found = load_dataset(data, task="text-classification", split="train").examples
    made, waiting = [], ""
    for one in found:
        assert isinstance(one, TextExample)
        waiting = f"{waiting} {one.text}".strip()
        if len(waiting.split()) >= words:
            made.append(TextExample(f"text:{len(made)}", waiting))
            waiting = ""
        if len(made) == count:
            break
    return tuple(made)


class Clock:
    """Progress callback; the time since its last call belongs to the stage of this one."""

    def __init__(self) -> None:
        self._last = time.perf_counter(), time.process_time()
        self.stages: dict[str, dict[str, float]] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Adds the time since the last call to the stage."""
        del done, total
        own = self.stages.setdefault(stage, {"seconds": 0.0, "processor_seconds": 0.0})
        now = time.perf_counter(), time.process_time()
        own["seconds"] += now[0] - self._last[0]
        own["processor_seconds"] += now[1] - self._last[1]
        own["peak_bytes"] = peak_bytes()
        self._last = now


def peak_bytes() -> int:
    """Returns this process's largest resident set so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def table(found: dict[str, Any]) -> list[str]:
    """Returns the report in Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    whole = {name: found[name] for name in ("seconds", "processor_seconds", "peak_bytes")}
    rows = [
        f"| {name} | {one['seconds']:.0f} | {one['processor_seconds']:.0f} "
        f"| {one['peak_bytes'] / 1e9:.2f} |"
        for name, one in (*found["stages"].items(), ("whole pass", whole))
    ]
    return [
        f"{found['cpu']}, {found['threads']} threads; {versions}; a BERT-base with random weights, "
        f"{found['samples']} texts of {found['words'] / found['samples']:.0f} words on average; "
        f"{found['removed']} removed.",
        "",
        "| stage | s | processor s | GB, peak so far |",
        "|---|---:|---:|---:|",
        *rows,
        "",
        f"It may take {MAX_SECONDS // 60} minutes and {MAX_BYTES / 1e9:.0f} GB.",
    ]


if __name__ == "__main__":
    sys.exit(main())
