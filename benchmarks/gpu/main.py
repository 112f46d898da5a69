"""The command behind run.sh."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gpu.machine import machine_facts
from gpu.models import GRAPHS
from gpu.plan import SECONDS, Run, plan
from gpu.report import write_report
from gpu.steps import Facts, Kept, run_steps


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 1 if an answer is outside its bound or a step failed."""
    run = _parsed(arguments)
    return execute(run, seconds=run.seconds)


def execute(run: Run, *, seconds: float) -> int:
    """Runs all steps and writes the report; returns the exit code of `main`.

    Args:
        run: What was asked for; its seconds decide about each step's budget.
        seconds: After which no further step is begun.
    """
    started, (steps, opened) = time.monotonic(), plan(run, _say)
    settings = {**asdict(run), "models": [str(one) for one in run.models]}
    settings = {key: str(one) if isinstance(one, Path) else one for key, one in settings.items()}
    facts = {key: settings[key] for key in ("models", "graphs")}
    where = "gpu" if run.mode == "gpu" else "without-gpu"  # a dry run makes what --cpu measures
    facts["machine"] = _deciding(machine_facts(threads=run.threads))
    kept = Kept(run.work / "steps" / where, facts)
    try:
        results = run_steps(steps, kept, seconds=seconds, say=_say)
    finally:
        for one in opened:
            one.close()
    write_report(run.out, results, settings)
    _say(f"report: {run.out / 'report.md'} ({time.monotonic() - started:.0f} s)")
    return 1 if any(_is_bad(result) for result in results.values()) else 0


def _deciding(machine: Facts) -> Facts:
    """Returns what makes results of another machine: its GPUs, libraries and runtimes."""
    return {key: machine[key] for key in ("gpus", "libraries", "runtimes")}


def _is_bad(result: Facts) -> bool:
    rows = result.get("rows", {})
    parities = rows.values() if isinstance(rows, dict) else ()
    outside = any(isinstance(one, dict) and one.get("within") is False for one in parities)
    return "failed" in result or outside


def _parsed(arguments: Sequence[str] | None) -> Run:
    parser = argparse.ArgumentParser(prog="benchmarks/gpu/run.sh", description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL", help="model folders")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--dry-run", action="store_true", help="check every step; needs no GPU")
    mode.add_argument("--cpu", action="store_true", help="tiny models on the CPU")
    parser.add_argument("--work", type=Path, default=Path(".bench/gpu"), help="what is kept")
    parser.add_argument("--out", type=Path, help="the report's folder; WORK/report if left out")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for everything")
    parser.add_argument("--threads", type=int, help="of runs on the CPU; all if left out")
    parser.add_argument("--graphs", default=",".join(GRAPHS), help="graphs to make of each model")
    found = parser.parse_args(arguments)
    graphs = tuple(one for one in found.graphs.split(",") if one)
    unknown = [one for one in graphs if one not in GRAPHS]
    missing = [str(one) for one in found.models if not one.is_dir()]
    if unknown or missing:
        parser.error(f"there is no {', '.join((*unknown, *missing))}")
    chosen = "dry-run" if found.dry_run else "cpu" if found.cpu else "gpu"
    return Run(
        mode=chosen,
        models=tuple(found.models),
        work=found.work,
        out=found.out or found.work / "report",
        seconds=found.seconds,
        threads=found.threads or len(os.sched_getaffinity(0)),
        graphs=graphs,
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
