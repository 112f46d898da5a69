"""The benchmark: all variants, the same inputs, one report.

    once                 the machine's own limits, in a process of its own
    for each variant     find its best settings and save them with it
    for each variant     answer the whole data set in a process of its own -> accuracy, paired
    for each quantized   time each operator that ran for it (after the rounds)
    for each round       start a process a variant, take turns -> latency, throughput, memory

The baseline is the first variant. It runs twice in every round (an A/A pair): what its two
processes differ by is what this machine can't resolve. Finished rounds and answered batches are
kept in the state folder until the run is complete.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bertcompress.bench.paired import Scored
from bertcompress.bench.precision_map_stage import map_all
from bertcompress.bench.roofs import Roofs, better_of, measure_roofs
from bertcompress.bench.rounds import AGAIN, Entrant, RoundResult, measure_round
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.stages import (
    Place,
    best_of,
    serve_all,
    tune_all,
    without_long_passages,
)
from bertcompress.bench.state import StateFolder
from bertcompress.bench.tokenization import time_tokenization
from bertcompress.bench.tuning import Tuning
from bertcompress.bench.variant import Subject, Variant, check
from bertcompress.bench.worker.client import WorkerProcess, thread_variables
from bertcompress.bench.worker.recorded_runs import RecordedRuns
from bertcompress.bench.workload import (
    Workload,
    grid,
    offline,
    passages,
    sample_features,
    single_stream,
)
from bertcompress.codec import Json, from_plain, to_plain
from bertcompress.inference.answers import Answers, predict_all
from bertcompress.machine.environment import (
    Environment,
    available_threads,
    busy_cpus,
    load_average,
    read_environment,
)
from bertcompress.progress import Progress, silent
from bertcompress.report.assemble import Parts, assemble
from bertcompress.report.lineage import model_files
from bertcompress.report.schema import FORMAT_VERSION, Report

__all__ = ["Subject", "Variant", "bench"]


def bench(
    variants: Sequence[Variant],
    subject: Subject,
    *,
    settings: BenchSettings | None = None,
    state_root: Path | None = None,
    command: str = "",
    skipped: Sequence[str] = (),
    progress: Progress = silent,
) -> Report:
    """Measures all variants and returns the report.

    Args:
        variants: The baseline first.
        subject: What they are measured on.
        settings: How much is measured.
        state_root: Where finished parts are kept until the run is complete; None keeps none.
        command: The line that repeats the run, for the report.
        skipped: What was asked for and is not among the variants, and why, in sentences.
        progress: Is told the stage, the steps done and their number.

    Raises:
        UsageError: If there is no variant, or two have the same name.
        LoadError: If a variant's folder is not there or is damaged.
        RunError: If a variant can't be loaded or run.
    """
    check(variants, subject)
    settings, too_long = without_long_passages(variants, settings or BenchSettings())
    threads = settings.threads or available_threads()
    load_before = busy_cpus()
    environment = read_environment(threads=threads, thread_variables=thread_variables(threads))
    with tempfile.TemporaryDirectory(prefix="bertcompress-bench-") as name:
        scratch = Path(name)
        key = _state_key(variants, subject, settings, environment)
        state = StateFolder(state_root or scratch / "state", key)
        place = Place(scratch, state, threads, progress)
        scored = _score_all(variants, subject, settings, place) if settings.accuracy else ()
        roofs = _roofs("before", settings, place)
        tunings = tune_all(variants, subject, settings, place) if settings.tune else ()
        rounds = _measure_rounds(variants, subject, settings, place, tunings)
        servers = (
            serve_all(variants, subject, settings, tunings, rounds, place)
            if settings.server
            else ()
        )
        maps, untold = (
            map_all(variants, subject, settings, place) if settings.precision_map else ((), ())
        )
        roofs = better_of(roofs, _roofs("after", settings, place))
        workloads = [workloads_of(subject, settings, number) for number in range(settings.rounds)]
        tokenized = time_tokenization(subject, count=settings.requests, seed=settings.seed)
        environment = replace(environment, load_before=load_before, load_after=load_average())
        parts = Parts(
            tuple(scored),
            tuple(rounds),
            tuple(workloads),
            tokenized,
            roofs,
            tunings=tunings,
            servers=servers,
            precision_maps=maps,
            skipped=(*skipped, *too_long, *untold),
        )
        report = assemble(
            variants, subject, settings, parts, environment=environment, command=command
        )
        state.remove()
    return report


def workloads_of(subject: Subject, settings: BenchSettings, number: int) -> list[Workload]:
    """Makes a round's inputs: sentences drawn anew each round, grid and offline set the same."""
    features, pad_token_id = subject.features, subject.pad_token_id
    drawn = sample_features(features, settings.requests, seed=settings.seed * 1009 + number)
    made = [single_stream(drawn, pad_token_id=pad_token_id, name="own-lengths")]
    if settings.grid_repeats:
        made += [
            grid(features, batch_size=batch, sequence_length=length, repeats=settings.grid_repeats)
            for batch in settings.grid_batches
            for length in settings.grid_lengths
        ]
    if settings.passage_length is not None:
        repeats = settings.passage_repeats
        made.append(passages(features, sequence_length=settings.passage_length, repeats=repeats))
    if settings.offline_sentences:
        kept = sample_features(features, settings.offline_sentences, seed=settings.seed)
        made += [
            offline(kept, batch_size=batch, pad_token_id=pad_token_id)
            for batch in settings.offline_batches
        ]
    return made


def _score_all(
    variants: Sequence[Variant], subject: Subject, settings: BenchSettings, place: Place
) -> list[Scored]:
    """Answers and scores the whole data set with each; embeddings are scored against the first."""
    task, examples = subject.task, subject.dataset.examples
    scored: list[Scored] = []
    for position, variant in enumerate(variants):
        answers = _answers_of(variant, position, subject, settings, place)
        reference = scored[0].answers if scored else answers
        score = task.score(answers.predictions, examples, reference=reference.predictions)
        scored.append(Scored(answers, score))
    return scored


def _answers_of(
    variant: Variant, position: int, subject: Subject, settings: BenchSettings, place: Place
) -> Answers:
    def start(open_processes: ExitStack) -> WorkerProcess:
        process = WorkerProcess(variant.name, scratch=place.scratch, threads=place.threads)
        open_processes.enter_context(process)
        process.load(variant.folder, variant.runtime)
        return process

    def told(stage: str, done: int, total: int) -> None:
        place.progress(f"{stage}: {variant.name}", done, total)

    with RecordedRuns(start, place.state.folder / f"outputs-{position}") as runs:
        return predict_all(
            runs,
            subject.task,
            subject.features,
            subject.dataset.examples,
            batch_size=settings.accuracy_batch,
            pad_token_id=subject.pad_token_id,
            progress=told,
        )


def _roofs(when: str, settings: BenchSettings, place: Place) -> Roofs | None:
    """Measures the machine's limits, unless the state folder has them."""
    if not settings.roofs:
        return None
    kept = place.state.read(f"roofs-{when}")
    if kept is None:
        place.progress(f"the machine's limits, {when} the timings", 0, 1)
        seconds = settings.roofs_s / 2
        found = measure_roofs(scratch=place.scratch, threads=place.threads, seconds=seconds)
        kept = to_plain(found)
        place.state.write(f"roofs-{when}", kept)
        place.progress(f"the machine's limits, {when} the timings", 1, 1)
    return from_plain(Roofs, kept)


def _measure_rounds(
    variants: Sequence[Variant],
    subject: Subject,
    settings: BenchSettings,
    place: Place,
    tunings: Sequence[Tuning],
) -> list[RoundResult]:
    """Measures every round that is not in the state folder."""
    bests = [best_of(one, subject, settings) for one in tunings]
    entrants = [
        Entrant(v.name, v.folder, v.runtime, best=bests[i] if bests else None)
        for i, v in enumerate(variants)
    ]
    if settings.again:
        first = variants[0]
        entrants.append(Entrant(AGAIN, first.folder, first.runtime, only_single_stream=True))
    workloads = len(workloads_of(subject, settings, 0))
    steps_a_round = len(variants) * (1 + workloads) + (2 if settings.again else 0) + len(tunings)
    results: list[RoundResult] = []
    for number in range(settings.rounds):
        part = f"round-{number:03d}"
        kept = place.state.read(part)
        if kept is None:
            kept = to_plain(
                measure_round(
                    entrants,
                    workloads_of(subject, settings, number),
                    settings=settings,
                    threads=place.threads,
                    number=number,
                    scratch=place.scratch,
                    step=_teller(place.progress, number, steps_a_round, settings.rounds),
                )
            )
            place.state.write(part, kept)
        results.append(from_plain(RoundResult, kept))
        done = (number + 1) * steps_a_round
        place.progress("timing", done, steps_a_round * settings.rounds)
    return results


def _teller(
    progress: Progress, number: int, steps_a_round: int, rounds: int
) -> Callable[[str], None]:
    done = number * steps_a_round

    def told(what: str) -> None:
        nonlocal done
        done += 1
        progress(f"timing, round {number + 1} of {rounds}: {what}", done, steps_a_round * rounds)

    return told


def _state_key(
    variants: Sequence[Variant], subject: Subject, settings: BenchSettings, machine: Environment
) -> Json:
    """Returns everything that decides what a finished part holds."""
    files = {}
    for variant in variants:
        stats = [(file.name, file.stat()) for file in model_files(variant.folder)]
        files[variant.name] = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
    lengths = [feature.length for feature in subject.features]
    key = {
        "format": FORMAT_VERSION,
        "variants": [[variant.name, variant.runtime] for variant in variants],
        "files": files,
        "settings": to_plain(settings),
        "task": subject.task.name,
        "data": [subject.dataset.fingerprint, len(lengths), sum(lengths)],
        "machine": [machine.cpu_model, list(machine.cpu_flags), machine.threads],
        "libraries": dict(machine.libraries),
    }
    return to_plain(key)
