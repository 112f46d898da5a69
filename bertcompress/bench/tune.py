"""Finds each variant's best settings in a process of its own, and saves them with its artifact."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from bertcompress.artifacts.artifact_files import model_files
from bertcompress.bench.interleaved import typical
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.tuning import (
    CandidateRate,
    Layout,
    RuntimeCandidate,
    Tuning,
    candidates,
    layouts,
    search,
    search_threads,
    thread_counts,
)
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.worker.load import Rate
from bertcompress.bench.worker.messages import ArrangeStreams, MeasureRate, TimeEach
from bertcompress.bench.workload import all_at_once, sample_features, save_workload, single_stream
from bertcompress.inference.best_settings import RuntimeSettings, save_runtime_settings
from bertcompress.inference.streams import batches_of
from bertcompress.machine.environment import cpu_model
from bertcompress.tasks.base import Feature

SENTENCES = 256
LATENCY_SENTENCES = 24
MEMORY_SHARE = 0.5
"""Streams may fill this share of the free memory."""
COPIES = 3
"""What a runtime takes while it opens a file, in sizes of that file."""


def tune_variant(
    variant: Variant,
    subject: Subject,
    settings: BenchSettings,
    *,
    threads: int,
    scratch: Path,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Tuning:
    """Tries all settings on one variant and saves the best in its manifest.

    Args:
        variant: What is tuned.
        subject: Where the texts come from.
        settings: Which batch sizes, and how long.
        threads: The CPUs that may be used.
        scratch: A folder for the inputs.
        told: Is told how many candidates were measured, and of how many.

    Raises:
        RunError: If the variant can't be loaded or run.
    """
    started = time.perf_counter()
    features = sample_features(
        subject.features, settings.offline_sentences or SENTENCES, seed=settings.seed
    )
    with WorkerProcess(variant.name, scratch=scratch, threads=threads) as process:
        runtime = process.load(variant.folder, variant.runtime).runtime
        bench = _Bench(process, features, subject.pad_token_id, scratch, told)
        latencies = search_threads(thread_counts(threads), bench.latencies)
        tried = candidates(
            layouts(threads, most_streams=_most_streams(variant.folder)),
            batch_sizes=settings.tune_batches,
            features=len(features),
        )
        bench.total = len(tried)
        rates = search(tried, bench.rates, slice_s=settings.tune_slice_s)
    best = rates[0]
    chosen = RuntimeSettings(
        runtime=runtime,
        latency_threads=latencies[0].threads,
        streams=best.streams,
        threads=best.threads,
        batch_size=best.batch_size,
        sort_by_length=best.sort_by_length,
        cpu_model=cpu_model(),
        cpus=threads,
        token_budget=_positions(features, best),
    )
    seconds = round(time.perf_counter() - started, 3)
    tuning = Tuning(chosen, latencies, rates, saved=False, seconds=seconds)
    if tuning.unsteady is not None:
        return tuning
    return replace(tuning, saved=save_runtime_settings(variant.folder, chosen))


@dataclass
class _Bench:
    """Measures in one process; inputs are written when they are first needed."""

    process: WorkerProcess
    features: Sequence[Feature]
    pad_token_id: int
    scratch: Path
    told: Callable[[int, int], None]
    total: int = 0
    measured: int = 0

    def latencies(self, threads: int) -> tuple[float, ...]:
        """Opens one runtime and times single texts, short and long ones in their shares."""
        path = self.scratch / "tune-single.npz"
        if not path.exists():
            some = typical(self.features, LATENCY_SENTENCES)
            save_workload(single_stream(some, pad_token_id=self.pad_token_id, name="tune"), path)
        self.process.ask(ArrangeStreams(1, threads))
        every = TimeEach(path, start=0, stop=LATENCY_SENTENCES, settle=LATENCY_SENTENCES)
        return self.process.ask(every).seconds

    def rates(
        self, layout: Layout, group: Sequence[RuntimeCandidate], slice_s: float
    ) -> list[Rate]:
        """Opens a layout and measures its candidates one after the other."""
        self.process.ask(ArrangeStreams(layout.streams, layout.threads))
        rates = []
        for candidate in group:
            rates.append(self.process.ask(MeasureRate(self._path(candidate), slice_s)))
            self.measured += 1
            self.told(min(self.measured, self.total), self.total)
        return rates

    def _path(self, candidate: RuntimeCandidate) -> Path:
        path = self.scratch / f"tune-{candidate.batch_size}-{candidate.sort_by_length:d}.npz"
        if not path.exists():
            workload = all_at_once(
                self.features,
                batch_size=candidate.batch_size,
                sort_by_length=candidate.sort_by_length,
                pad_token_id=self.pad_token_id,
            )
            save_workload(workload, path)
        return path


def _positions(features: Sequence[Feature], best: CandidateRate) -> int:
    """Returns the positions of the largest batch, padding too."""
    lengths = [feature.length for feature in features]
    batches = batches_of(lengths, batch_size=best.batch_size, sort_by_length=best.sort_by_length)
    return max(len(batch) * max(lengths[i] for i in batch) for batch in batches)


def _most_streams(folder: Path) -> int:
    """Returns how many copies of an artifact the free memory holds, at least one."""
    size = sum(file.stat().st_size for file in model_files(folder)) or 1
    return max(1, int(psutil.virtual_memory().available * MEMORY_SHARE / (COPIES * size)))
