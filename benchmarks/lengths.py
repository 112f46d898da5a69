"""What padding costs: many texts padded to 128 tokens in batches of 32, against no wasted padding.

Both sides run the same artifact in the same runtime on the same texts, and take turns:

    padded   batches of 32 in the texts' order, each text padded to 128 tokens; one runtime with all
             threads, which is how models are mostly deployed
    sorted   batches of similar length at the settings that were found best for the artifact here

    python benchmarks/lengths.py DATA ARTIFACT… --out benchmarks/reports/lengths

Writes OUT.json and OUT.md. Besides, the sorted answers are compared with those of one text at a
time: for each text, whether they are the same to the last bit, and the largest difference.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bertcompress.artifact import library_versions
from bertcompress.bench.environment import read_environment
from bertcompress.bench.process import WorkerProcess
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.tune_variants import tune_variant
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.workload import Workload, all_at_once, save_workload
from bertcompress.bert.load import load
from bertcompress.data.load import load_dataset
from bertcompress.runtime_settings import RuntimeSettings
from bertcompress.runtimes.streams import open_streams
from bertcompress.tasks import make_task
from bertcompress.tasks.base import Feature, pad

PADDED, BATCH = 128, 32
TURNS, SLICE_S = 7, 2.0


def main() -> int:
    """Measures each artifact, writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("artifacts", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = [measured(folder, arguments.data, arguments.threads) for folder in arguments.artifacts]
    environment = read_environment(threads=arguments.threads, thread_variables={})
    facts = {
        "cpu": environment.cpu_model,
        "threads": arguments.threads,
        "versions": library_versions("onnxruntime", "openvino"),
        "artifacts": rows,
    }
    text = table(facts)
    print(text)
    if arguments.out is not None:
        arguments.out.with_suffix(".json").write_text(json.dumps(facts) + "\n", encoding="utf-8")
        arguments.out.with_suffix(".md").write_text(text, encoding="utf-8")
    return 0


def measured(folder: Path, data: str, threads: int) -> dict[str, Any]:
    """Returns both rates of one artifact, turn by turn, and how its answers compare."""
    artifact = load(folder)
    task = make_task(artifact.task, artifact.config, folder=folder)
    dataset = load_dataset(data, task=artifact.task, split="test")
    features = task.encode(artifact.tokenizer, dataset.examples, max_length=PADDED)
    padding = artifact.tokenizer.pad_token_id
    subject = Subject(dataset, task, features, padding if isinstance(padding, int) else 0)
    with TemporaryDirectory(prefix="bertcompress-lengths-") as name:
        scratch = Path(name)
        variant = Variant(folder.name, folder)
        best = tune_variant(
            variant, subject, BenchSettings(), threads=threads, scratch=scratch
        ).settings
        rates = in_turns(folder, subject, best, threads, scratch)
    lengths = [feature.length for feature in features]
    return {
        "artifact": folder.name,
        "texts": len(features),
        "mean tokens": float(np.mean(lengths)),
        "settings": {
            "streams": best.streams,
            "threads": best.threads,
            "batch_size": best.batch_size,
        },
        **rates,
        **answers(folder, subject, best),
    }


def in_turns(
    folder: Path, subject: Subject, best: RuntimeSettings, threads: int, scratch: Path
) -> dict[str, Any]:
    """Returns the sentences a second of both sides, turn by turn."""
    features = subject.features
    wasteful = Workload(
        "padded",
        "offline",
        BATCH,
        PADDED,
        tuple(
            to_length(features[at : at + BATCH], subject.pad_token_id)
            for at in range(0, len(features) - len(features) % BATCH, BATCH)
        ),
    )
    careful = all_at_once(
        features,
        batch_size=best.batch_size,
        sort_by_length=best.sort_by_length,
        pad_token_id=subject.pad_token_id,
    )
    found: dict[str, list[float]] = {"padded": [], "sorted": []}
    layouts = {"padded": (1, threads), "sorted": (best.streams, best.threads)}
    with (
        WorkerProcess("padded", scratch=scratch, threads=threads) as one,
        WorkerProcess("sorted", scratch=scratch, threads=threads) as other,
    ):
        sides = {"padded": one, "sorted": other}
        for (name, process), workload in zip(sides.items(), (wasteful, careful), strict=True):
            save_workload(workload, scratch / f"{name}.npz")
            process.load(folder, best.runtime)
            process.ask("arrange", streams=layouts[name][0], threads=layouts[name][1])
        for turn in range(TURNS):
            for name in list(sides) if turn % 2 == 0 else reversed(sides):
                rate = sides[name].ask(
                    "rate", workload=str(scratch / f"{name}.npz"), slice_s=SLICE_S
                )
                found[name].append(float(str(rate["sentences_per_s"])))
    ratios = [b / a for a, b in zip(found["padded"], found["sorted"], strict=True)]
    return {"per_s": found, "ratio": median(ratios), "ratios": ratios}


def to_length(features: Sequence[Feature], pad_token_id: int) -> dict[str, Any]:
    """Returns a batch whose every text is padded to `PADDED` tokens."""
    feed = pad(features, pad_token_id=pad_token_id)
    fills = {"input_ids": pad_token_id}
    return {
        name: np.pad(
            values,
            ((0, 0), (0, PADDED - values.shape[1])),
            constant_values=fills.get(name, 0),
        )
        for name, values in feed.items()
    }


def answers(folder: Path, subject: Subject, best: RuntimeSettings) -> dict[str, Any]:
    """Compares sorted batches with one text at a time."""
    with open_streams(folder, best.runtime, streams=1, threads=best.threads) as opened:
        alone, together = (
            opened.run_features(
                subject.features, batch_size=size, pad_token_id=subject.pad_token_id
            )
            for size in (1, BATCH)
        )
    apart = [
        max(float(np.abs(a[name].astype(np.float64) - b[name]).max()) for name in a)
        for a, b in zip(alone, together, strict=True)
    ]
    return {"same to the bit": sum(one == 0 for one in apart), "largest difference": max(apart)}


def table(facts: dict[str, Any]) -> str:
    """Returns the report as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    lines = [
        f"{facts['cpu']}, {facts['threads']} threads; {versions}. *Padded*: batches of {BATCH}, "
        f"each text padded to {PADDED} tokens, one runtime. *Sorted*: batches of similar length at "
        f"the best settings found. Medians of {TURNS} turns of {SLICE_S:g} s, taken by turns.",
        "",
        "| artifact | texts, mean tokens | padded /s | sorted /s | ratio | streams × threads, batch"
        " | same to the bit as alone | largest difference |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in facts["artifacts"]:
        rates, settings = row["per_s"], row["settings"]
        low, high = min(row["ratios"]), max(row["ratios"])
        lines.append(
            f"| {row['artifact']} | {row['texts']:,}, {row['mean tokens']:.1f} "
            f"| {median(rates['padded']):,.0f} | {median(rates['sorted']):,.0f} "
            f"| {row['ratio']:.2f} ({low:.2f} to {high:.2f}) "
            f"| {settings['streams']} × {settings['threads']}, {settings['batch_size']} "
            f"| {row['same to the bit']:,} of {row['texts']:,} "
            f"| {row['largest difference']:.2g} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
