"""The command behind run.sh: which steps there are, and how much time each may take."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bertcompress.bert.families import longest_text
from bertcompress.bert.load import load
from bertcompress.runtimes.ort_providers import ProviderSettings
from bertcompress.runtimes.torch_settings import TORCH_RUNTIMES
from gpu.engines import build_engines, check_engine_settings
from gpu.machine import machine_facts, usable
from gpu.measure import Scale, graphs_on_and_off, grid, parity, real_lengths
from gpu.models import GRAPHS, SIZES, TINY, Size, make_checkpoint, make_graphs
from gpu.report import write_report
from gpu.steps import Facts, Kept, SkippedError, Step, run_steps
from gpu.subjects import ModelFolders, Opened, cpu_subjects, gpu_subjects

BATCHES, LENGTHS = (1, 8, 32, 128), (16, 32, 64, 128, 384)
SMALL_BATCHES, SMALL_LENGTHS = (1, 4), (16, 64)
SECONDS = 460.0
_RUN_GRAPHS = ("ort-cuda", "ort-tensorrt", "tensorrt")


@dataclass(frozen=True)
class Run:
    """What was asked for.

    Attributes:
        mode: ``gpu``, ``cpu`` or ``dry-run``.
        models: Folders named on the command line.
        work: Where models, engines and finished steps are.
        out: Where the report goes.
        seconds: For everything.
        threads: Of runs on the CPU.
        graphs: The graphs that are made of each model.
    """

    mode: str
    models: tuple[Path, ...]
    work: Path
    out: Path
    seconds: float
    threads: int
    graphs: tuple[str, ...]

    @property
    def tiny(self) -> bool:
        """Whether tiny models stand for the real ones."""
        return self.mode != "gpu" and not self.models


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 1 if an answer is outside its bound or a step failed."""
    run, started = _parsed(arguments), time.monotonic()
    steps, opened = plan(run)
    settings = {**asdict(run), "models": [str(one) for one in run.models]}
    settings = {key: str(one) if isinstance(one, Path) else one for key, one in settings.items()}
    facts = {key: settings[key] for key in ("models", "graphs")}
    where = "gpu" if run.mode == "gpu" else "without-gpu"  # a dry run makes what --cpu measures
    facts["machine"] = _deciding(machine_facts(threads=run.threads))
    kept = Kept(run.work / "steps" / where, facts)
    try:
        results = run_steps(steps, kept, seconds=run.seconds, say=_say)
    finally:
        for one in opened:
            one.close()
    write_report(run.out, results, settings)
    _say(f"report: {run.out / 'report.md'} ({time.monotonic() - started:.0f} s)")
    return 1 if any(_is_bad(result) for result in results.values()) else 0


def plan(run: Run) -> tuple[list[Step], list[Opened]]:
    """Returns the steps of a run, and the runtimes that they leave open."""
    steps, opened = [Step("machine", lambda _: machine_facts(threads=run.threads), 30)], []
    share = run.seconds / 460.0
    sizes = {} if run.models else (TINY if run.tiny else SIZES)
    named = [(folder.resolve().name, folder, None) for folder in run.models]
    made = [
        (f"{name}{'-pruned50' if pruned else ''}", None, (size, pruned))
        for name, size in reversed(sizes.items())
        for pruned in (False, True)
    ]
    for name, folder, how in (*named, *made):
        work = run.work / ("tiny" if run.tiny else "models") / name
        model = ModelFolders(name, folder or work / "checkpoint", work / "graphs", work / "engines")
        if how is not None:
            steps.append(Step(f"model:{name}", _maker(model, *how), 30 * share))
        steps.append(Step(f"graphs:{name}", _graph_maker(model, run), 90 * share))
        if run.mode == "cpu":
            subjects = cpu_subjects(model, threads=run.threads)
        else:
            subjects = gpu_subjects(model, threads=run.threads)
            steps.append(Step(f"engines:{name}", _engine_maker(model, run), 60 * share))
        if run.mode == "dry-run":
            names = [one.name for one in subjects]
            steps.append(Step(f"would-measure:{name}", _checker(model, names), 5))
            continue
        group = Opened(subjects, _say)
        opened.append(group)
        steps += _measuring(model, group, run, share)
    return steps, opened


def _measuring(model: ModelFolders, group: Opened, run: Run, share: float) -> list[Step]:
    def scale() -> Scale:
        config = load(model.checkpoint).config
        small = run.mode == "cpu"
        batches, lengths = (SMALL_BATCHES, SMALL_LENGTHS) if small else (BATCHES, LENGTHS)
        return Scale(batches, lengths, config.vocab_size, longest_text(config))

    def closing(budget_s: float) -> Facts:
        try:
            return real_lengths(group, scale(), budget_s)
        finally:
            group.close()  # the next model's runtimes need the memory

    steps = [
        Step(
            f"parity:{model.name}",
            lambda _: parity(group, model, scale(), threads=run.threads),
            90 * share,
        ),
        Step(f"grid:{model.name}", lambda budget_s: grid(group, scale(), budget_s), 50 * share),
        Step(f"lengths:{model.name}", closing, 20 * share),
    ]
    if run.mode == "gpu":
        steps.insert(1, Step(f"cuda-graphs:{model.name}", _graph_checker(model, run, scale), 10))
    return steps


def _graph_checker(
    model: ModelFolders, run: Run, scale: Callable[[], Scale]
) -> Callable[[float], Facts]:
    def work(_: float) -> Facts:
        found = usable("torch-cuda-fp16")
        if found != "usable":
            raise SkippedError(found)
        return graphs_on_and_off(model, scale(), threads=run.threads)

    return work


def _maker(model: ModelFolders, size: Size, pruned: bool) -> Callable[[float], Facts]:
    return lambda _: make_checkpoint(size, model.checkpoint, pruned=pruned)


def _graph_maker(model: ModelFolders, run: Run) -> Callable[[float], Facts]:
    def work(_: float) -> Facts:
        runners = [one for one in _RUN_GRAPHS if usable(one) == "usable"]
        if run.mode == "gpu" and not runners:
            raise SkippedError("no runtime here runs graphs on a GPU")
        by_tensorrt = run.mode != "gpu" or {"ort-tensorrt", "tensorrt"} & set(runners)
        wanted = tuple(one for one in run.graphs if by_tensorrt or one in ("fp32", "fp16"))
        return make_graphs(model.checkpoint, model.graphs, wanted, threads=run.threads)

    return work


def _engine_maker(model: ModelFolders, run: Run) -> Callable[[float], Facts]:
    def work(budget_s: float) -> Facts:
        if run.mode == "dry-run":
            return check_engine_settings(longest_text(load(model.checkpoint).config))
        found = usable("tensorrt")
        if found != "usable":
            raise SkippedError(found)
        graphs = tuple(one for one in run.graphs if one != "fp32")
        cache = run.work / "timing.cache"
        return build_engines(model, graphs, timing_cache=cache, budget_s=budget_s)

    return work


def _checker(model: ModelFolders, names: list[str]) -> Callable[[float], Facts]:
    """Makes every runtime's settings, as a run would, without a GPU."""

    def work(_: float) -> Facts:
        inputs = ("input_ids", "attention_mask", "token_type_ids")
        options = [
            ProviderSettings("cuda", graphs=True).options(inputs),
            ProviderSettings("tensorrt", cache=model.engines).options(inputs, ("fp16",)),
        ]
        _say(f"  would measure {model.name}: {', '.join(names)}")
        return {
            "would_measure": names,
            "torch": {name: asdict(one) for name, one in TORCH_RUNTIMES.items()},
            "onnxruntime": [[name, given] for one in options for name, given in one],
        }

    return work


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
