"""Measures models and writes the report into a folder, where finished rounds wait meanwhile."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bertcompress.artifacts.manifest import kind_of
from bertcompress.artifacts.trained_rows import read_trained_rows
from bertcompress.bench.peers import SAMPLES, make_peers
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.variant import Subject, Variant, subject_of, variant_of
from bertcompress.errors import UsageError
from bertcompress.examples import Dataset
from bertcompress.inference.predictor import Predictor
from bertcompress.machine.environment import available_threads
from bertcompress.ownership import check_files, forget, work_folder
from bertcompress.progress import Note, Progress, logged, silent
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.resources import Splits
from bertcompress.report.benchmark import bench
from bertcompress.report.report_files import REPORT_NAMES, write_report
from bertcompress.report.schema import Report
from bertcompress.tasks import Feature

_STATE, _PEERS = ".state", ".peers"
_USUAL = BenchSettings()


@dataclass(frozen=True)
class PeerSource:
    """What peers are made from.

    Attributes:
        model: The checkpoint's folder.
        features: Returns the given number of training texts as tokens.
    """

    model: Path
    features: Callable[[int], Sequence[Feature]]


def benchmark(
    models: Sequence[str | Path],
    data: DataSource | str | Path,
    *,
    settings: BenchSettings = _USUAL,
    names: Sequence[str] = (),
    task: str | None = None,
    runtime: str = "auto",
    max_length: int | None = None,
    whole: bool = True,
    out: Path | str | None = None,
    command: str = "",
    note: Note = logged,
    progress: Progress = silent,
) -> Report:
    """Measures models on the same inputs, as ``bertcompress bench`` does.

    Args:
        models: Folders or hub names, the baseline first.
        data: Where examples are read from.
        settings: How much is measured; the seed draws all that is drawn.
        names: What the report calls the models; the folders' names if none are given.
        task: The task, if the models do not say it.
        runtime: As in `bertcompress.Predictor.open`.
        max_length: As there.
        whole: Whether a single file is taken whole; else its test part.
        out: The report's folder, which keeps finished rounds of a stopped run; None writes nothing.
        command: The line that repeats it, for the report.
        note: Is told what the user must know.
        progress: Progress callback.

    Raises:
        BertCompressError: As the command does; no report is written then.
    """
    opened = [
        Predictor.open(model, task=task, runtime=runtime, max_length=max_length, note=note)
        for model in models
    ]
    called = _names_of([str(model) for model in models], names, opened)
    source = data if isinstance(data, DataSource) else DataSource(source=str(data))
    seed = settings.seed
    dataset = measured_data(source, opened[0], seed=seed, whole=whole, note=note)
    for model in opened:
        note_trained_rows(model, dataset, note=note)
    peers = _peers_of(opened, source, seed=seed) if settings.peers else None
    subject = subject_of(opened[0], dataset)
    variants = [
        variant_of(name, model, subject) for name, model in zip(called, opened, strict=True)
    ]
    with tempfile.TemporaryDirectory(prefix="bertcompress-bench-") as scratch:
        return measure(
            variants,
            subject,
            settings,
            Path(out or scratch),
            command=command,
            peers=peers,
            progress=progress,
        )


def measured_data(
    source: DataSource,
    model: Predictor,
    *,
    seed: int = 0,
    whole: bool = False,
    note: Note = logged,
) -> Dataset:
    """Reads what a model is measured on, and says what was guessed.

    Args:
        source: Where it comes from.
        model: Says what the data must be.
        seed: For samples and partitions.
        whole: Whether a single file is taken whole; else its test part.
        note: Is told what was guessed.

    Raises:
        UsageError: There is no data to measure on.
        DataError: It can't be read.
    """
    data = source.load(
        "test",
        task=model.task.name,
        label_kind=model.task.label_kind,
        seed=seed,
        require_labels=model.task.name != "feature-extraction",
        whole=whole,
    )
    for sentence in data.notes:
        note(sentence)
    if data.split == "all" and source.split is None:
        note(f"{data.source} is taken whole; --split test is what prune and finetune leave out")
    return data


def note_trained_rows(model: Predictor, data: Dataset, *, note: Note = logged) -> int:
    """Says in plain words if a model is judged by what it was trained on; returns how many rows."""
    trained = read_trained_rows(model.folder)
    known = trained.known_among(data.examples)
    if known:
        note(
            f"{known:,} of the {len(data):,} examples are rows that {model.folder.name} was "
            f"trained on ({trained.told}): figures on them say how well it remembers, not how well "
            "it answers texts that it has not seen"
        )
    return known


def measure(
    variants: Sequence[Variant],
    subject: Subject,
    settings: BenchSettings,
    folder: Path,
    *,
    command: str = "",
    peers: PeerSource | None = None,
    progress: Progress,
) -> Report:
    """Measures all variants and writes the report; finished rounds are kept until it is done.

    Args:
        variants: The baseline first.
        subject: What they are measured on.
        settings: How much is measured.
        folder: Where the report goes, and the unfinished parts until then.
        command: The line that repeats it, for the report.
        peers: What the peers are made from; needed if the settings ask for them.
        progress: Progress callback.
    """
    check_files(folder, REPORT_NAMES)
    skipped = list[str]()
    with ExitStack() as held:
        state = held.enter_context(work_folder(folder / _STATE))
        if settings.peers and peers is not None:
            peer_variants, skipped = make_peers(
                peers.model,
                peers.features(SAMPLES),
                held.enter_context(work_folder(folder / _PEERS)),
                threads=settings.threads or available_threads(),
                pad_token_id=subject.pad_token_id,
                progress=progress,
            )
            variants = [*variants, *peer_variants]
        report = bench(
            variants,
            subject,
            settings=settings,
            state_root=state,
            command=command,
            skipped=skipped,
            progress=progress,
        )
        write_report(report, folder)
        for unfinished in (state, folder / _PEERS):
            forget(unfinished)
    return report


def peer_source(model: Predictor, splits: Splits, *, seed: int) -> PeerSource:
    """Returns what peers are made from: a checkpoint, and training texts drawn by the seed."""

    def features(count: int) -> list[Feature]:
        examples = splits.examples
        drawn = random.Random(seed).sample(examples, min(count, len(examples)))
        return model.encode(drawn)

    return PeerSource(model.folder, features)


def _names_of(
    models: Sequence[str], names: Sequence[str], opened: Sequence[Predictor]
) -> list[str]:
    if not models:
        raise UsageError("a benchmark needs at least one artifact folder")
    if names and len(names) != len(models):
        raise UsageError(f"{len(names)} names were given for {len(models)} models; give one each")
    tasks = {model.task.name for model in opened}
    if len(tasks) > 1:
        raise UsageError(f"the models do different tasks, {', '.join(sorted(tasks))}")
    called = list(names) or [Path(model).name or model for model in models]
    if len(set(called)) < len(called):
        called = list(models)
    return called


def _peers_of(opened: Sequence[Predictor], source: DataSource, *, seed: int) -> PeerSource:
    """Returns what peers are made from: the first checkpoint among the models."""
    for model in opened:
        if kind_of(model.folder) == "checkpoint":
            task = model.task
            splits = Splits(source, task=task.name, label_kind=task.label_kind, seed=seed)
            return peer_source(model, splits, seed=seed)
    raise UsageError("--peers needs a checkpoint among the models: peers are made from one")
