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
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bertcompress.bench.interleaved import in_turns, sentence_rate
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.tune import tune_variant
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.worker.messages import ArrangeStreams
from bertcompress.bench.workload import Workload, all_at_once, save_workload
from bertcompress.inference.best_settings import RuntimeSettings
from bertcompress.inference.predictor import Predictor
from bertcompress.inference.streams import open_streams
from bertcompress.tasks.base import Feature, pad
from scripts import machine, opening, publish, tested_on

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
    facts = {**machine(arguments.threads, "onnxruntime", "openvino"), "artifacts": rows}
    publish(facts, table(facts), arguments.out)
    return 0


def measured(folder: Path, data: str, threads: int) -> dict[str, Any]:
    """Returns both rates of one artifact, turn by turn, and how its answers compare."""
    subject = tested_on(Predictor.open(folder, max_length=PADDED), data)
    with TemporaryDirectory(prefix="bertcompress-lengths-") as name:
        scratch = Path(name)
        variant = Variant(folder.name, folder)
        best = tune_variant(
            variant, subject, BenchSettings(), threads=threads, scratch=scratch
        ).settings
        rates = both_rates(folder, subject, best, threads, scratch)
    lengths = [feature.length for feature in subject.features]
    return {
        "artifact": folder.name,
        "texts": len(lengths),
        "mean tokens": float(np.mean(lengths)),
        "settings": {
            "streams": best.streams,
            "threads": best.threads,
            "batch_size": best.batch_size,
        },
        **rates,
        **answers(folder, subject, best),
    }


def both_rates(
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
    sides = {"padded": (wasteful, 1, threads), "sorted": (careful, best.streams, best.threads)}
    measures = {}
    with ExitStack() as stack:
        for name, (workload, streams, each) in sides.items():
            path = scratch / f"{name}.npz"
            save_workload(workload, path)
            process = stack.enter_context(WorkerProcess(name, scratch=scratch, threads=threads))
            process.load(folder, best.runtime)
            process.ask(ArrangeStreams(streams, each))
            measures[name] = sentence_rate(process, path, slice_s=SLICE_S)
        found = in_turns(measures, TURNS)
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
    lines = [
        f"{opening(facts)} *Padded*: batches of {BATCH}, "
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
