"""Our INT8 against the fastest peers, in turns too short for a shared machine to change between.

A benchmark's rounds are minutes long, and on a machine that others use too two rounds differ more
than two good libraries do. Here everything is loaded at once and takes turns of a fraction of a
second; each turn gives one ratio between neighbours in time, and the median of many is compared.

    python benchmarks/race.py CHECKPOINT DATA ARTIFACT… --out benchmarks/reports/race

Three races, each at the settings that were found best for it (threads of one text; streams, threads
and batch of many): one sentence, 128 tokens, and many sentences. Writes OUT.json and OUT.md. The
first artifact is the one that peers are compared with; *ratio* is how much longer another took than
it did, the median over the turns and the middle half of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from bertcompress.artifact import library_versions
from bertcompress.bench.environment import read_environment
from bertcompress.bench.load_generator import spread
from bertcompress.bench.peers import PEERS, SAMPLES, make_peers
from bertcompress.bench.process import WorkerProcess
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.tune_variants import tune_variant
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.workload import all_at_once, passages, save_workload, single_stream
from bertcompress.bert.load import load
from bertcompress.data.load import load_dataset
from bertcompress.runtime_settings import RuntimeSettings
from bertcompress.tasks import make_task

FASTEST = ("ort-dynamic-int8", "ort-fused-dynamic-int8", "openvino-nncf-int8", "ctranslate2-int8")
LENGTH, SENTENCES = 128, 24
TURNS, MANY_TURNS, MANY_SLICE_S = 60, 24, 0.6
Seconds = dict[str, list[float]]
Measure = Callable[[], float]


def main() -> int:
    """Makes the peers, runs the races, writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data")
    parser.add_argument("artifacts", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    artifact = load(arguments.checkpoint)
    task = make_task(artifact.task, artifact.config)
    texts, train = (
        load_dataset(arguments.data, task=artifact.task, split=split, limit=limit)
        for split, limit in (("test", None), ("train", SAMPLES))
    )

    def features(dataset: Any) -> list[Any]:
        return task.encode(artifact.tokenizer, dataset.examples, max_length=512)

    padding = artifact.tokenizer.pad_token_id
    subject = Subject(texts, task, features(texts), padding if isinstance(padding, int) else 0)
    with TemporaryDirectory(prefix="bertcompress-race-") as name:
        scratch = Path(name)
        peers, skipped = make_peers(
            arguments.checkpoint,
            features(train),
            scratch / "peers",
            threads=arguments.threads,
            peers=[one for one in PEERS if one.recipe in FASTEST],
            pad_token_id=subject.pad_token_id,
        )
        ours = [Variant(folder.name, folder) for folder in arguments.artifacts]
        found = races([*ours, *peers], subject, arguments.threads, scratch)
    environment = read_environment(threads=arguments.threads, thread_variables={})
    facts = {
        "cpu": environment.cpu_model,
        "threads": arguments.threads,
        "versions": library_versions("onnxruntime", "openvino", "nncf", "ctranslate2"),
        "skipped": skipped,
        **found,
    }
    text = table(facts)
    print(text)
    if arguments.out is not None:
        arguments.out.with_suffix(".json").write_text(json.dumps(facts) + "\n", encoding="utf-8")
        arguments.out.with_suffix(".md").write_text(text, encoding="utf-8")
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
    order = spread([feature.length for feature in subject.features])[:SENTENCES]
    some = [subject.features[i] for i in order]
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

        def alone(path: Path, count: int) -> dict[str, Measure]:
            measures = {}
            for name, worker in workers.items():
                worker.ask("arrange", streams=1, threads=best[name].latency_threads)
                measures[name] = _median_of(worker, path, count)
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
                worker.ask("arrange", streams=own.streams, threads=own.threads)
                measures[name] = _rate_of(worker, path)
            return measures

        return {
            "settings": {
                name: [own.latency_threads, own.streams, own.threads, own.batch_size]
                for name, own in best.items()
            },
            "one sentence": turns(alone(single, SENTENCES), TURNS),
            f"{LENGTH} tokens": turns(alone(long, 8), TURNS),
            "many sentences": turns(together(), MANY_TURNS),
        }


def _median_of(worker: WorkerProcess, path: Path, count: int) -> Measure:
    return lambda: median(worker.seconds("time", workload=str(path), settle=2, start=0, stop=count))


def _rate_of(worker: WorkerProcess, path: Path) -> Measure:
    def seconds() -> float:
        answer = worker.ask("rate", workload=str(path), slice_s=MANY_SLICE_S)
        return 1 / float(str(answer["sentences_per_s"]))

    return seconds


def turns(measures: Mapping[str, Measure], count: int) -> Seconds:
    """Returns what each measured, in turns of turned order; the first turn warms up."""
    found: Seconds = {name: [] for name in measures}
    for turn in range(count + 1):
        for name in list(measures) if turn % 2 == 0 else reversed(measures):
            seconds = measures[name]()
            if turn:
                found[name].append(seconds)
    return found


def table(facts: Mapping[str, Any]) -> str:
    """Returns the report as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    names = list(facts["settings"])
    first = names[0]
    lines = [
        f"{facts['cpu']}, {facts['threads']} threads; {versions}. All loaded at once, each at its "
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
