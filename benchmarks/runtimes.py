"""Whether the runtime that the tool picks is the fastest: picked first, measured again afterwards.

    python benchmarks/runtimes.py DATA ARTIFACT… --out benchmarks/reports/runtimes

For each artifact `bertcompress.bench.choose_runtime` measures every runtime at its best settings
and picks one; then the same is done anew, so that the pick is judged by measurements that it was
not made from. Writes OUT.json and OUT.md, and exits with 1 where a pick was slower than the best of
the second measurement by more than 3 %.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bertcompress.artifact import library_versions
from bertcompress.bench.choose_runtime import ON_CPU, RuntimeRace, choose_runtime
from bertcompress.bench.environment import read_environment
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.variant import Subject
from bertcompress.bert.families import longest_text
from bertcompress.bert.load import load
from bertcompress.data.load import load_dataset
from bertcompress.tasks import make_task

MAY_LOSE = 0.03


def main() -> int:
    """Measures each artifact twice, writes the report, and says whether the picks hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("artifacts", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = [judged(folder, arguments.data, arguments.threads) for folder in arguments.artifacts]
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
    return 0 if all(max(row["lost"].values()) <= MAY_LOSE for row in rows) else 1


def judged(folder: Path, data: str, threads: int) -> dict[str, Any]:
    """Returns both measurements of one artifact, and what the first one's pick loses."""
    artifact = load(folder)
    task = make_task(artifact.task, artifact.config, folder=folder)
    dataset = load_dataset(data, task=artifact.task, split="test")
    longest = min(512, longest_text(artifact.config))
    features = task.encode(artifact.tokenizer, dataset.examples, max_length=longest)
    padding = artifact.tokenizer.pad_token_id
    subject = Subject(dataset, task, features, padding if isinstance(padding, int) else 0)

    def race(seed: int) -> RuntimeRace:
        return choose_runtime(
            folder, subject, BenchSettings(seed=seed), ON_CPU["onnx"], threads=threads
        )

    second, first = race(1), race(0)  # the one saved is the one reported
    single = {one.runtime: one.single_s for one in second.speeds}
    many = {one.runtime: 1 / one.sentences_per_s for one in second.speeds}
    return {
        "artifact": folder.name,
        "picked": asdict(first.choice),
        "refused": first.refused,
        "first": [asdict(one) for one in first.speeds],
        "second": [asdict(one) for one in second.speeds],
        "lost": {
            "one text": single[first.choice.single] / min(single.values()) - 1,
            "many texts": many[first.choice.many] / min(many.values()) - 1,
        },
    }


def table(facts: dict[str, Any]) -> str:
    """Returns the report as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    lines = [
        f"{facts['cpu']}, {facts['threads']} threads; {versions}. Every runtime at its best "
        "settings, measured twice; the pick of one measurement is judged by the other: *lost* is "
        "how much slower it was there than the fastest.",
        "",
        "| artifact | runtime | one text | many texts | picked for | lost |",
        "|---|---|---:|---:|---|---:|",
    ]
    for row in facts["artifacts"]:
        picked = row["picked"]
        for one in row["second"]:
            uses = [what for what in ("single", "many") if picked[what] == one["runtime"]]
            names = {"single": "one text", "many": "many texts"}
            lost = ", ".join(f"{100 * row['lost'][names[what]]:.1f} %" for what in uses)
            lines.append(
                f"| {row['artifact']} | {one['runtime']} | {1e3 * one['single_s']:.2f} ms "
                f"| {one['sentences_per_s']:,.0f}/s "
                f"| {', '.join(names[what] for what in uses) or '-'} | {lost or '-'} |"
            )
        lines += [
            f"| {row['artifact']} | {name} | can't run it | | - | - |" for name in row["refused"]
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
