"""Base against head in one job: the comparison that continuous integration can fail on.

    once            answer the same examples with both -> accuracy, memory; count everything else
    for each round  start BASE HEAD HEAD BASE, take turns -> seconds of each request
    at each look    compute the bounds; stop when they decide, go on while they do not

A machine's mood changes between two jobs by more than any slowdown worth a failure, so nothing is
compared with a stored run: both builds are measured here, interleaved, and what the two processes
of one build differ by is what this machine can't resolve. See `bertcompress.stats.slowdown` for
the statistics.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from bertcompress.artifacts.artifact_files import model_files
from bertcompress.bench.rounds import Entrant, RoundResult, measure_round
from bertcompress.bench.state import StateFolder
from bertcompress.bench.variant import Subject, Variant, check
from bertcompress.bench.worker.client import thread_variables
from bertcompress.bench.workload import sample_features, single_stream
from bertcompress.codec import Json, to_plain
from bertcompress.errors import UsageError
from bertcompress.gates.build_facts import build_pair, frozen_subset
from bertcompress.gates.comparison import COMPARISON_VERSION, CompareSettings, Comparison
from bertcompress.gates.comparison_gates import answers_gate, counted_gates, slowdown_gate
from bertcompress.gates.gate import GateResult
from bertcompress.machine.environment import Environment, available_threads, read_environment
from bertcompress.ownership import forget, work_folder
from bertcompress.progress import Progress, silent
from bertcompress.report.assemble import dataset_facts, tool_version, with_shares
from bertcompress.report.noise import noise_of
from bertcompress.stats.slowdown import IS_HEAD, Slowdown, slowdown_of

__all__ = ["CompareSettings", "Comparison", "Contest", "compare", "measure_slowdown"]

_AGAIN = " (second process)"


def compare(
    base: Variant,
    head: Variant,
    subject: Subject,
    *,
    settings: CompareSettings | None = None,
    state_root: Path | None = None,
    command: str = "",
    progress: Progress = silent,
) -> Comparison:
    """Compares two builds and decides on every gate; nothing is raised for a gate that failed.

    Args:
        base: What is there now.
        head: What shall replace it.
        subject: What they are measured on.
        settings: How much is measured, and what may differ.
        state_root: Where finished rounds are kept until the run is complete; None keeps none.
        command: The line that repeats the run, for the report.
        progress: Is told the stage, the steps done and their number.

    Raises:
        UsageError: If there is no example, or both have the same name.
        LoadError: If a folder is not there or is damaged.
        RunError: If a build can't be loaded or run.
    """
    settings = settings or CompareSettings()
    check([base, head], subject)
    if head.reads is not None and head.reads.features is not subject.features:
        raise UsageError(
            f"{head.name} reads the texts as other tokens than {base.name} does, so their times "
            "are not of the same inputs; bertcompress bench measures each on its own"
        )
    threads = settings.threads or available_threads()
    machine = read_environment(threads=threads, thread_variables=thread_variables(threads))
    subset = frozen_subset(subject, settings.examples, seed=settings.seed)
    with tempfile.TemporaryDirectory(prefix="bertcompress-compare-") as name:
        scratch = Path(name)
        before, after, paired = build_pair(
            (base, head), subset, settings, threads=threads, scratch=scratch, progress=progress
        )
        slowdown: Slowdown | None = None
        rounds: tuple[RoundResult, ...] = ()
        if settings.speed:
            key = _state_key(base, head, subject, settings, machine)
            with work_folder(state_root or scratch / "state") as root:
                contest = Contest(base, head, subject, settings, threads, StateFolder(root, key))
                slowdown, rounds = measure_slowdown(contest, progress=progress)
                forget(root)
    machine = with_shares(machine, rounds)
    doubts = tuple(noise_of(machine))
    gates: list[GateResult] = [answers_gate(before, after, paired, settings)]
    gates += counted_gates(before, after, settings)
    if slowdown is not None:
        gates.append(slowdown_gate(slowdown, settings, name=head.name, doubts=doubts))
    return Comparison(
        format_version=COMPARISON_VERSION,
        tool_version=tool_version(),
        command=command,
        task=subject.task.name,
        dataset=dataset_facts(subset),
        settings=settings,
        environment=machine,
        base=before,
        head=after,
        paired=paired,
        slowdown=slowdown,
        gates=tuple(gates),
        rounds=rounds,
        notes=doubts,
    )


@dataclass(frozen=True)
class Contest:
    """Two builds whose speed is compared.

    Attributes:
        base: What is there now.
        head: What shall replace it.
        subject: Where the requests are drawn from, anew for each round.
        settings: How much is measured, and what is allowed.
        threads: Of each runtime.
        state: Where finished rounds are kept, and found.
    """

    base: Variant
    head: Variant
    subject: Subject
    settings: CompareSettings
    threads: int
    state: StateFolder


def measure_slowdown(
    contest: Contest, *, progress: Progress = silent
) -> tuple[Slowdown, tuple[RoundResult, ...]]:
    """Measures rounds until the slowdown is decided, or the last look has been taken."""
    settings, rounds = contest.settings, list[RoundResult]()
    last = settings.looks[-1]
    while True:
        progress("timing", len(rounds), last)
        rounds.append(_round(contest, len(rounds)))
        if len(rounds) not in settings.looks:
            continue
        slowdown = slowdown_of(
            [[entrant.seconds[0] for entrant in round_.entrants] for round_ in rounds],
            confidence=settings.confidence,
            looks=len(settings.looks),
        )
        if len(rounds) == last or slowdown.decide(settings.max_slowdown) != "undecided":
            progress("timing", last, last)
            return slowdown, tuple(rounds)


def _round(contest: Contest, number: int) -> RoundResult:
    settings, subject = contest.settings, contest.subject
    seed = settings.seed * 1009 + number

    def measured() -> RoundResult:
        drawn = sample_features(subject.features, settings.requests, seed=seed)
        with tempfile.TemporaryDirectory(prefix="bertcompress-round-") as name:
            return measure_round(
                _entrants(contest.base, contest.head),
                [single_stream(drawn, pad_token_id=subject.pad_token_id, name="own-lengths")],
                settings=settings.of_round(),
                threads=contest.threads,
                number=number,
                scratch=Path(name),
                step=_nothing,
            )

    return contest.state.kept(f"round-{number:03d}", RoundResult, measured)


def _entrants(base: Variant, head: Variant) -> list[Entrant]:
    """Returns a round's four processes in the order `IS_HEAD`."""
    seen: set[str] = set()
    entrants = []
    for is_head in IS_HEAD:
        variant = head if is_head else base
        again = _AGAIN if variant.name in seen else ""
        seen.add(variant.name)
        entrants.append(Entrant(variant.name + again, variant.folder, variant.runtime))
    return entrants


def _nothing(what: str) -> None:
    del what


def _state_key(
    base: Variant,
    head: Variant,
    subject: Subject,
    settings: CompareSettings,
    machine: Environment,
) -> Json:
    """Returns everything that decides what a finished round holds."""
    files = [
        [variant.runtime, file.name, file.stat().st_size, file.stat().st_mtime_ns]
        for variant in (base, head)
        for file in model_files(variant.folder)
    ]
    return to_plain(
        {
            "format": COMPARISON_VERSION,
            "files": files,
            "round": settings.of_round(),
            "seed": settings.seed,
            "data": [subject.dataset.fingerprint, len(subject.features)],
            "machine": [machine.cpu_model, machine.threads],
            "libraries": dict(machine.libraries),
        }
    )
