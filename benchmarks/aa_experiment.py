"""Can the comparison be believed? A build against itself, and against itself made slower.

Repeats `bertcompress compare`'s measurement of speed on one ONNX artifact: a hundred times against
itself, a hundred times with 5 % and a hundred with 3 % added to one side (a runtime that keeps the
processor busy for that share of each run), the three kinds in turn, each comparison with other
sentences:

    python benchmarks/aa_experiment.py MODEL DATA --out benchmarks/reports/aa

Writes OUT.json and OUT.md. Finished comparisons are kept beside OUT until all are there: the same
command goes on where it was stopped. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

from bertcompress.artifacts.artifact_files import model_files
from bertcompress.bench.state import StateFolder
from bertcompress.bench.variant import Subject, Variant, subject_of
from bertcompress.bench.worker.client import thread_variables
from bertcompress.bench.worker.fake import FakeArtifact, write_fake
from bertcompress.codec import to_plain
from bertcompress.files import write_atomically
from bertcompress.gates.compare import Contest, measure_slowdown
from bertcompress.gates.comparison import CompareSettings
from bertcompress.inference.predictor import Predictor
from bertcompress.machine.environment import Environment, available_threads, read_environment
from bertcompress.report.noise import noise_of
from bertcompress.stats.slowdown import Slowdown

WANTED = {0.0: 0.01, 0.05: 0.95, 0.03: 0.80}
"""For each slowdown the share of failures that is wanted: at most for none, else at least."""


@dataclass(frozen=True)
class Trial:
    """One comparison.

    Attributes:
        injected: What one side was slowed down by.
        decision: ``passed``, ``failed`` or ``abstained``.
        slowdown: What was found.
        seconds: How long it took.
    """

    injected: float
    decision: str
    slowdown: Slowdown
    seconds: float


@dataclass(frozen=True)
class Experiment:
    """All comparisons, and where they were made.

    Attributes:
        model: The artifact's folder, by its name.
        file_bytes: Of its graph.
        data: The data set's source and fingerprint.
        settings: Of each comparison; its seed is the comparison's number.
        environment: The machine, when the last part of the experiment began.
        trials: In the order they were made.
    """

    model: str
    file_bytes: int
    data: str
    settings: CompareSettings
    environment: Environment
    trials: tuple[Trial, ...]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what is missing and writes the two files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="the folder of an ONNX artifact")
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, required=True, help="where to write, without .json")
    parser.add_argument("--count", type=int, default=100, help="comparisons of each kind")
    parser.add_argument("--requests", type=int, default=40, help="sentences a process and round")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    settings = CompareSettings(
        requests=given.requests, warm_minimum_s=0.1, warm_maximum_s=0.5, threads=given.threads
    )
    subject = read_subject(given.model, given.data)
    experiment = run(given.model, subject, settings, count=given.count, kept=given.out.parent)
    write(experiment, given.out)
    print(text_of(experiment))


def read_subject(model: Path, data: str) -> Subject:
    """Reads the sentences as tokens."""
    from bertcompress.data import load_dataset

    opened = Predictor.open(model, max_length=128)
    dataset = load_dataset(data, task=opened.task.name, label_kind=opened.task.label_kind)
    return subject_of(opened, dataset)


def run(
    model: Path, subject: Subject, settings: CompareSettings, *, count: int, kept: Path
) -> Experiment:
    """Makes all comparisons that are not in the folder `kept` yet."""
    threads = settings.threads or available_threads()
    machine = read_environment(threads=threads, thread_variables=thread_variables(threads))
    files = [
        (file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in model_files(model)
    ]
    key = to_plain({"settings": settings, "files": files, "data": subject.dataset.fingerprint})
    state = StateFolder(kept, {"aa": key, "machine": [machine.cpu_model, threads]})
    trials = []
    for number, injected in _plan(count):
        part = f"trial-{number:04d}-{injected:g}"
        measure = partial(_trial, model, subject, settings, number, injected, threads)
        trials.append(state.kept(part, Trial, measure))
        _tell(trials, 3 * count)
    state.remove()
    return Experiment(
        model=model.resolve().name,
        file_bytes=sum(size for _, size, _ in files),
        data=f"{Path(subject.dataset.source).name} ({subject.dataset.fingerprint})",
        settings=settings,
        environment=machine,
        trials=tuple(trials),
    )


def _plan(count: int) -> Iterator[tuple[int, float]]:
    for number in range(count):
        for injected in WANTED:
            yield number, injected


def _trial(
    model: Path,
    subject: Subject,
    settings: CompareSettings,
    number: int,
    injected: float,
    threads: int,
) -> Trial:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bertcompress-aa-") as name:
        head = Variant("head", model)
        if injected:
            fake = FakeArtifact(wraps=str(model.resolve()), slowdown=injected)
            head = Variant("head", write_fake(Path(name) / "head", fake), "fake")
        contest = Contest(
            base=Variant("base", model),
            head=head,
            subject=subject,
            settings=replace(settings, seed=number),
            threads=threads,
            state=StateFolder(Path(name) / "state", number),
        )
        slowdown, _ = measure_slowdown(contest)
    decision = slowdown.decide(settings.max_slowdown)
    return Trial(
        injected,
        "abstained" if decision == "undecided" else decision,
        slowdown,
        round(time.monotonic() - started, 2),
    )


def write(experiment: Experiment, out: Path) -> None:
    """Writes the report and its numbers."""
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out.with_suffix(".json"), json.dumps(to_plain(experiment)) + "\n")
    write_atomically(out.with_suffix(".md"), text_of(experiment))


def text_of(experiment: Experiment) -> str:
    """Returns the report as Markdown."""
    machine, settings = experiment.environment, experiment.settings
    lines = [
        "# A build compared with itself, and with itself made slower",
        "",
        f"{experiment.model} ({experiment.file_bytes / 1e6:.1f} MB) on {experiment.data}; "
        f"{machine.cpu_model}, {machine.threads} threads, ONNX Runtime "
        f"{machine.libraries.get('onnxruntime', '?')}, {machine.date}. Each comparison: rounds of "
        f"four fresh processes with {settings.requests} sentences each, looks after "
        f"{', '.join(map(str, settings.looks))} rounds, {settings.max_slowdown:.0%} allowed.",
        "",
        "| slowdown added | comparisons | failed | passed | abstained | wanted | held |",
        "|---|---:|---:|---:|---:|---|---|",
        *(_row(experiment, injected) for injected in WANTED),
        "",
        "| slowdown added | found, median (5 % to 95 %) | rounds | seconds | resolution | noise |",
        "|---|---|---:|---:|---:|---:|",
        *(_found(experiment, injected) for injected in WANTED),
        "",
        "Abstained counts as held: the gate then says that the machine can't tell, and why. "
        "*Resolution* is the smallest slowdown told from none for certain, *noise* the standard "
        "deviation between processes of one build; medians.",
        *(f"\nThe machine was not quiet: {note}." for note in noise_of(machine)),
    ]
    return "\n".join(lines) + "\n"


def _of(experiment: Experiment, injected: float) -> list[Trial]:
    return [trial for trial in experiment.trials if trial.injected == injected]


def _row(experiment: Experiment, injected: float) -> str:
    trials = _of(experiment, injected)
    counts = {
        decision: sum(trial.decision == decision for trial in trials)
        for decision in ("failed", "passed", "abstained")
    }
    share = WANTED[injected]
    if injected == 0.0:
        wanted, held = f"at most {share:.0%} fail", counts["failed"] <= share * len(trials)
    else:
        wanted = f"at least {share:.0%} fail, or abstain"
        held = counts["failed"] + counts["abstained"] >= share * len(trials)
    cells = [f"{injected:.0%}", str(len(trials)), *map(str, counts.values())]
    return f"| {' | '.join([*cells, wanted, 'yes' if held else '**no**'])} |"


def _found(experiment: Experiment, injected: float) -> str:
    trials = _of(experiment, injected)
    found = sorted(trial.slowdown.estimate for trial in trials)
    low, high = (found[int(share * (len(found) - 1))] for share in (0.05, 0.95))
    return (
        f"| {injected:.0%} | {median(found):+.1%} ({low:+.1%} to {high:+.1%}) "
        f"| {median(trial.slowdown.rounds for trial in trials):g} "
        f"| {median(trial.seconds for trial in trials):.1f} "
        f"| {median(trial.slowdown.resolution for trial in trials):.1%} "
        f"| {median(trial.slowdown.noise for trial in trials):.2%} |"
    )


def _tell(trials: Sequence[Trial], total: int) -> None:
    last = trials[-1]
    left = median(trial.seconds for trial in trials) * (total - len(trials)) / 60
    print(
        f"{len(trials)} of {total}: {last.injected:.0%} added, "
        f"{last.slowdown.estimate:+.2%} found, {last.decision} after "
        f"{last.slowdown.rounds} rounds; about {left:.0f} min to go",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    main()
