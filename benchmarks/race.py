"""Our INT8 against the fastest peers, in turns too short for a shared machine to change between.

A benchmark's rounds are minutes long, and on a machine that others use too two rounds differ more
than two good libraries do. Here everything is loaded at once and takes turns of a fraction of a
second; each turn gives one ratio between neighbours in time, and the median of many is compared.

    python benchmarks/race.py CHECKPOINT DATA ARTIFACT… --out benchmarks/reports/race

Three races, each at the settings that were found best for it (threads of one text, for either
length; streams, threads and batch of many): one sentence, 128 tokens, and many sentences. Writes
OUT.json and OUT.md. The first artifact is the one that peers are compared with; *ratio* is how much
longer another took than it did, the median over the turns and the middle half of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from bertcompress.bench.interleaved import Measure, in_turns, median_seconds, sentence_rate, typical
from bertcompress.bench.peers import PEERS, SAMPLES, make_peers
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.tune import tune_variant
from bertcompress.bench.tuning import search_threads, thread_counts
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.worker.messages import ArrangeStreams, TimeEach
from bertcompress.bench.workload import all_at_once, passages, save_workload, single_stream
from bertcompress.data.load import load_dataset
from bertcompress.inference.best_settings import RuntimeSettings
from bertcompress.inference.predictor import Predictor
from scripts import machine, opening, publish, tested_on

FASTEST = ("ort-dynamic-int8", "ort-fused-dynamic-int8", "openvino-nncf-int8", "ctranslate2-int8")
LENGTH, SENTENCES = 128, 24
TURNS, MANY_TURNS, MANY_SLICE_S = 60, 24, 0.6


def main() -> int:
    """Makes the peers, runs the races, writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data")
    parser.add_argument("artifacts", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    model = Predictor.open(arguments.checkpoint)
    subject = tested_on(model, arguments.data)
    train = load_dataset(arguments.data, task=model.task.name, split="train", limit=SAMPLES)
    training = model.encode(train.examples)
    with TemporaryDirectory(prefix="bertcompress-race-") as name:
        scratch = Path(name)
        peers, skipped = make_peers(
            arguments.checkpoint,
            training,
            scratch / "peers",
            threads=arguments.threads,
            peers=[one for one in PEERS if one.recipe in FASTEST],
            pad_token_id=subject.pad_token_id,
        )
        ours = [Variant(folder.name, folder) for folder in arguments.artifacts]
        found = races([*ours, *peers], subject, arguments.threads, scratch)
    libraries = ("onnxruntime", "openvino", "nncf", "ctranslate2")
    facts = {**machine(arguments.threads, *libraries), "skipped": skipped, **found}
    publish(facts, table(facts), arguments.out)
    return 0


def races(variants: list[Variant], subject: Subject, threads: int, scratch: Path) -> dict[str, Any]:
    """Returns the settings of each and what each race measured, turn by turn."""
    best: dict[str, RuntimeSettings] = {}
    for number, one in enumerate(variants):
        own = scratch / f"tune-{number}"
        own.mkdir()
        best[one.name] = tune_variant(
            one, subject, BenchSettings(), threads=threads, scratch=own
        ).settings
    some = typical(subject.features, SENTENCES)
    padding = subject.pad_token_id
    single, long = scratch / "single.npz", scratch / "long.npz"
    save_workload(single_stream(some, pad_token_id=padding, name="single"), single)
    save_workload(passages(subject.features, sequence_length=LENGTH, repeats=8), long)
    with ExitStack() as stack:
        workers = {}
        for one in variants:
            worker = stack.enter_context(WorkerProcess(one.name, scratch=scratch, threads=threads))
            worker.load(one.folder, one.runtime)
            workers[one.name] = worker

        alone_threads: dict[str, list[int]] = {name: [] for name in workers}

        def alone(path: Path, count: int) -> dict[str, Measure]:
            def seconds(worker: WorkerProcess, each: int) -> tuple[float, ...]:
                worker.ask(ArrangeStreams(1, each))
                return worker.ask(TimeEach(path, start=0, stop=count, settle=2)).seconds

            measures = {}
            for name, worker in workers.items():
                found = search_threads(thread_counts(threads), partial(seconds, worker))
                alone_threads[name].append(found[0].threads)
                worker.ask(ArrangeStreams(1, found[0].threads))
                measures[name] = median_seconds(worker, path, settle=2, count=count)
            return measures

        def together() -> dict[str, Measure]:
            measures = {}
            for name, worker in workers.items():
                own, path = best[name], scratch / f"many-{len(measures)}.npz"
                workload = all_at_once(
                    subject.features,
                    batch_size=own.batch_size,
                    sort_by_length=own.sort_by_length,
                    pad_token_id=padding,
                )
                save_workload(workload, path)
                worker.ask(ArrangeStreams(own.streams, own.threads))
                measures[name] = sentence_rate(worker, path, slice_s=MANY_SLICE_S)
            return measures

        return {
            "threads alone": alone_threads,
            "streams, threads, batch": {
                name: [own.streams, own.threads, own.batch_size] for name, own in best.items()
            },
            "one sentence": turns(alone(single, SENTENCES), TURNS),
            f"{LENGTH} tokens": turns(alone(long, 8), TURNS),
            "many sentences": {
                name: [1 / rate for rate in own]
                for name, own in turns(together(), MANY_TURNS).items()
            },
        }


def turns(measures: Mapping[str, Measure], count: int) -> dict[str, list[float]]:
    """Returns what each measured in so many turns, after one that warms up."""
    found = in_turns(measures, count + 1)
    return {name: own[1:] for name, own in found.items()}


def table(facts: Mapping[str, Any]) -> str:
    """Returns the report as Markdown."""
    names = list(facts["one sentence"])
    first = names[0]
    lines = [
        f"{opening(facts)} All loaded at once, each at its "
        f"own best settings, turns of a fraction of a second in turned order. *Ratio*: how much "
        f"longer than {first} in the same turn, median and middle half of {TURNS} turns "
        f"({MANY_TURNS} for many sentences).",
        "",
        *(f"{sentence}\n" for sentence in facts["skipped"]),
    ]
    for race in ("one sentence", f"{LENGTH} tokens", "many sentences"):
        unit = "a second" if race.startswith("many") else "ms"
        lines += [f"| {race} | {unit} | ratio | middle half |", "|---|---:|---:|---:|"]
        for name in names:
            own = facts[race][name]
            shown = f"{1 / median(own):,.0f}" if unit != "ms" else f"{1e3 * median(own):.2f}"
            ratios = [b / a for a, b in zip(facts[race][first], own, strict=True)]
            low, _, high = quantiles(ratios, n=4)
            lines.append(f"| {name} | {shown} | {median(ratios):.2f} | {low:.2f} to {high:.2f} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
