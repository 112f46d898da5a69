"""Whether the runtime that the tool picks is the fastest: picked first, measured again afterwards.

    python benchmarks/runtimes.py DATA ARTIFACT… --out benchmarks/reports/runtimes

For each artifact `bertcompress.bench.runtime_race` measures every runtime at its best settings
and picks one; then the same is done anew, so that the pick is judged by measurements that it was
not made from. Writes OUT.json and OUT.md, and exits with 1 where a pick was slower than the best of
the second measurement by more than 3 %.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bertcompress.bench.runtime_race import ON_CPU, RuntimeRace, choose_runtime
from bertcompress.bench.settings import BenchSettings
from bertcompress.inference.predictor import Predictor
from scripts import machine, opening, publish, tested_on

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
    facts = {**machine(arguments.threads, "onnxruntime", "openvino"), "artifacts": rows}
    publish(facts, table(facts), arguments.out)
    return 0 if all(max(row["lost"].values()) <= MAY_LOSE for row in rows) else 1


def judged(folder: Path, data: str, threads: int) -> dict[str, Any]:
    """Returns both measurements of one artifact, and what the first one's pick loses."""
    subject = tested_on(Predictor.open(folder), data)

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
    lines = [
        f"{opening(facts)} Every runtime at its best "
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
