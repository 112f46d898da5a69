"""The benchmark: all variants, the same inputs, one report.

    once                 the machine's own limits, in a process of its own
    for each variant     find its best settings and save them with it
    for each variant     answer the whole data set in a process of its own -> accuracy, paired
    for each quantized   time each operator that ran for it (after the rounds)
    for each round       start a process a variant, take turns -> latency, throughput, memory

The baseline is the first variant. It runs twice in every round (an A/A pair): what its two
processes differ by is what this machine can't resolve. Finished rounds and answered batches are
kept in the state folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import numpy as np

from bertcompress.bench.names import AGAIN
from bertcompress.bench.paired import Scored
from bertcompress.bench.precision_runs import map_all
from bertcompress.bench.results import Parts
from bertcompress.bench.roofs import Roofs, better_of
from bertcompress.bench.rounds import Entrant, RoundResult, measure_round
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.stages import measure_roofs, serve_all, tune_all, tuned_setup
from bertcompress.bench.state import Workplace
from bertcompress.bench.tuning import Tuning
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.worker.kept_outputs import KeptOutputs
from bertcompress.bench.workload import (
    Workload,
    grid,
    offline,
    passages,
    sample_features,
    single_stream,
)
from bertcompress.inference.answers import Answers, predict_all
from bertcompress.machine.environment import (
    Environment,
    load_average,
)
from bertcompress.progress import Progress

WARM_UP_EXAMPLES = 20
"""Examples that are tokenized before the timed ones."""


def measure(
    variants: Sequence[Variant],
    subject: Subject,
    settings: BenchSettings,
    place: Workplace,
    *,
    environment: Environment,
    skipped: Sequence[str] = (),
) -> Parts:
    """Measures all variants, what the state folder has already excepted.

    Args:
        variants: The baseline first.
        subject: What they are measured on.
        settings: How much is measured.
        place: Where finished parts are kept, and the threads.
        environment: The machine before.
        skipped: What was left out, and why, in sentences.

    Raises:
        LoadError: If a variant's folder is damaged.
        RunError: If a variant can't be loaded or run.
    """
    scored = _score_all(variants, subject, settings, place) if settings.accuracy else ()
    roofs = _roofs("before", settings, place)
    tunings = tune_all(variants, subject, settings, place) if settings.tune else ()
    rounds = _measure_rounds(variants, subject, settings, place, tunings)
    servers = (
        serve_all(variants, subject, settings, tunings, rounds, place) if settings.server else ()
    )
    maps, untold = (
        map_all(variants, subject, settings, place) if settings.precision_map else ((), ())
    )
    roofs = better_of(roofs, _roofs("after", settings, place))
    return Parts(
        environment=replace(environment, load_after=load_average()),
        scored=tuple(scored),
        rounds=tuple(rounds),
        workloads=tuple(
            workloads_of(subject, settings, number) for number in range(settings.rounds)
        ),
        tokenization_s=time_tokenization(subject, count=settings.requests, seed=settings.seed),
        roofs=roofs,
        tunings=tunings,
        servers=servers,
        precision_maps=maps,
        skipped=(*skipped, *untold),
    )


def workloads_of(subject: Subject, settings: BenchSettings, number: int) -> list[Workload]:
    """Makes a round's inputs: sentences drawn anew each round, grid and offline set the same."""
    features, pad_token_id = subject.features, subject.pad_token_id
    drawn = sample_features(features, settings.requests, seed=settings.seed * 1009 + number)
    workloads = [single_stream(drawn, pad_token_id=pad_token_id, name="own-lengths")]
    if settings.grid_repeats:
        workloads += [
            grid(features, batch_size=batch, sequence_length=length, repeats=settings.grid_repeats)
            for batch in settings.grid_batches
            for length in settings.grid_lengths
        ]
    if settings.passage_length is not None:
        repeats = settings.passage_repeats
        workloads.append(
            passages(features, sequence_length=settings.passage_length, repeats=repeats)
        )
    if settings.offline_sentences:
        kept = sample_features(features, settings.offline_sentences, seed=settings.seed)
        workloads += [
            offline(kept, batch_size=batch, pad_token_id=pad_token_id)
            for batch in settings.offline_batches
        ]
    return workloads


def time_tokenization(subject: Subject, *, count: int, seed: int) -> tuple[float, ...]:
    """Returns the seconds of tokenizing single examples, drawn anew; none without a tokenizer.

    Args:
        subject: Holds the examples and what tokenizes one.
        count: How many are timed.
        seed: Draws them.
    """
    if subject.tokenize is None:
        return ()
    examples = subject.dataset.examples
    generator = np.random.default_rng(seed)
    drawn = [examples[i] for i in generator.integers(0, len(examples), count + WARM_UP_EXAMPLES)]
    seconds = []
    for example in drawn:
        started = time.perf_counter_ns()
        subject.tokenize(example)
        seconds.append((time.perf_counter_ns() - started) * 1e-9)
    return tuple(round(second, 8) for second in seconds[WARM_UP_EXAMPLES:])


def _score_all(
    variants: Sequence[Variant], subject: Subject, settings: BenchSettings, place: Workplace
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
    variant: Variant, position: int, subject: Subject, settings: BenchSettings, place: Workplace
) -> Answers:
    def start() -> WorkerProcess:
        process = WorkerProcess(variant.name, scratch=place.scratch, threads=place.threads)
        open_processes.enter_context(process)
        process.load(variant.folder, variant.runtime)
        return process

    def told(stage: str, done: int, total: int) -> None:
        place.progress(f"{stage}: {variant.name}", done, total)

    own = variant.reads or subject
    with ExitStack() as open_processes:
        return predict_all(
            KeptOutputs(start, place.state.folder / f"outputs-{position}"),
            own.task,
            own.features,
            subject.dataset.examples,
            batch_size=settings.accuracy_batch,
            pad_token_id=own.pad_token_id,
            progress=told,
        )


def _roofs(when: str, settings: BenchSettings, place: Workplace) -> Roofs | None:
    """Measures the machine's limits, unless the state folder has them."""
    if not settings.roofs:
        return None
    seconds = settings.roofs_s / 2

    def measured() -> Roofs:
        place.progress(f"the machine's limits, {when} the timings", 0, 1)
        roofs = measure_roofs(scratch=place.scratch, threads=place.threads, seconds=seconds)
        place.progress(f"the machine's limits, {when} the timings", 1, 1)
        return roofs

    return place.state.kept(f"roofs-{when}", Roofs, measured)


def _measure_rounds(
    variants: Sequence[Variant],
    subject: Subject,
    settings: BenchSettings,
    place: Workplace,
    tunings: Sequence[Tuning],
) -> list[RoundResult]:
    """Measures every round that is not in the state folder."""
    setups = [
        tuned_setup(tuning, variant.reads or subject, settings)
        for tuning, variant in zip(tunings, variants, strict=bool(tunings))
    ]
    others = {
        variant.name: variant.reads
        for variant in variants
        if variant.reads is not None and variant.reads.features is not subject.features
    }
    entrants = [
        Entrant(v.name, v.folder, v.runtime, tuned=setups[i] if setups else None)
        for i, v in enumerate(variants)
    ]
    if settings.again:
        first = variants[0]
        entrants.append(Entrant(AGAIN, first.folder, first.runtime, only_single_stream=True))
    workloads = len(workloads_of(subject, settings, 0))
    steps_a_round = len(variants) * (1 + workloads) + (2 if settings.again else 0) + len(tunings)

    def measured(number: int) -> RoundResult:
        return measure_round(
            entrants,
            workloads_of(subject, settings, number),
            own={name: workloads_of(own, settings, number) for name, own in others.items()},
            settings=settings,
            threads=place.threads,
            number=number,
            scratch=place.scratch,
            step=_teller(place.progress, number, steps_a_round, settings.rounds),
        )

    results: list[RoundResult] = []
    for number in range(settings.rounds):
        part = f"round-{number:03d}"
        results.append(place.state.kept(part, RoundResult, partial(measured, number)))
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
