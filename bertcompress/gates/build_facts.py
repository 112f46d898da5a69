"""What can be found about a build on any machine: its counts, its size, its answers, its memory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bertcompress.artifacts.artifact_files import manifest_of
from bertcompress.bench.paired import Paired, Scored, score_against
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.worker.messages import ReadMemory
from bertcompress.examples import Dataset
from bertcompress.gates.comparison import Build, CompareSettings
from bertcompress.gates.variant_counts import LENGTH
from bertcompress.inference.answers import predict_all
from bertcompress.profiling.count_operations import operations_of
from bertcompress.progress import Progress
from bertcompress.report.assemble import accuracy_of
from bertcompress.report.lineage import history_of, kernels_of, size_of
from bertcompress.tasks.base import Prediction


@dataclass(frozen=True)
class Answered:
    """What a process that answered the examples found: its score, its runtime, its memory."""

    scored: Scored
    runtime: str
    peak_bytes: int


def frozen_subset(subject: Subject, count: int | None, *, seed: int) -> Subject:
    """Returns so many examples, the same ones for the same seed and data, in their order."""
    examples = subject.dataset.examples
    if count is None or count >= len(examples):
        return subject
    drawn = np.random.default_rng(seed).permutation(len(examples))[:count]
    places = {int(old): new for new, old in enumerate(sorted(drawn))}
    return Subject(
        dataset=Dataset(
            tuple(examples[old] for old in places),
            subject.dataset.source,
            subject.dataset.split,
            subject.dataset.notes,
        ),
        task=subject.task,
        features=[
            replace(feature, example_index=places[feature.example_index])
            for feature in subject.features
            if feature.example_index in places
        ],
        pad_token_id=subject.pad_token_id,
        tokenize=subject.tokenize,
    )


def build_pair(
    variants: tuple[Variant, Variant],
    subject: Subject,
    settings: CompareSettings,
    *,
    threads: int,
    scratch: Path,
    progress: Progress,
) -> tuple[Build, Build, Paired]:
    """Answers the examples with both builds and counts what can be counted.

    Args:
        variants: Base and head.
        subject: The examples that are answered.
        settings: The batch size of that.
        threads: Of each runtime.
        scratch: A folder for the arrays.
        progress: Is told how many features are done.

    Raises:
        LoadError: If a folder holds no model.
        RunError: If a variant can't be loaded or run.
    """

    def answered(variant: Variant, reference: Sequence[Prediction] | None) -> Answered:
        def told(stage: str, done: int, total: int) -> None:
            progress(f"{stage}: {variant.name}", done, total)

        with ExitStack() as open_processes:
            process = WorkerProcess(variant.name, scratch=scratch, threads=threads)
            open_processes.enter_context(process)
            runtime = process.load(variant.folder, variant.runtime).runtime
            answers = predict_all(
                process,
                (variant.reads or subject).task,
                subject.features,
                subject.dataset.examples,
                batch_size=settings.answers_batch,
                pad_token_id=subject.pad_token_id,
                progress=told,
            )
            peak = process.ask(ReadMemory()).peak_bytes
        predictions = answers.predictions if reference is None else reference
        score = subject.task.score(
            answers.predictions, subject.dataset.examples, reference=predictions
        )
        return Answered(Scored(answers, score), runtime, peak)

    first = answered(variants[0], None)
    second = answered(variants[1], first.scored.answers.predictions)
    paired = score_against(first.scored, second.scored, subject.dataset.examples)
    return _build(variants[0], first, subject), _build(variants[1], second, subject), paired


def _build(variant: Variant, answered: Answered, subject: Subject) -> Build:
    manifest = manifest_of(variant.folder)
    operations = operations_of(variant.folder)
    work = operations.work(sentences=1, length=LENGTH) if operations else None
    return Build(
        name=variant.name,
        runtime=answered.runtime,
        kind=manifest.kind if manifest else "checkpoint",
        size=size_of(variant.folder, manifest, compressed=False),
        operations=round(work.operations) if work else None,
        float_operations=round(work.float_operations) if work else None,
        kernels=kernels_of(manifest),
        accuracy=accuracy_of(answered.scored, subject.dataset.examples),
        peak_bytes=answered.peak_bytes,
        history=history_of(variant.folder, manifest),
    )
