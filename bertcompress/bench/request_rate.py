"""Puts a variant under requests that arrive at random, in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bertcompress.bench.server import ServerResult, Trial, allowed_late, highest_rate
from bertcompress.bench.settings import SERVER_QUANTILE, BenchSettings
from bertcompress.bench.tuning import Tuning
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.client import TIMEOUT_S, WorkerProcess
from bertcompress.bench.workload import sample_features, save_workload, single_stream
from bertcompress.stats.intervals import percentile

FIRST_SHARE = 0.7
"""The share of what back-to-back requests reach that is tried first."""
LOWEST_SHARE = 1 / 16
"""And the one below which no rate is tried: there a request is nearly always alone."""
_LONGEST_TRIAL_S = TIMEOUT_S * 0.8
_SLICE_S = 0.3


def serve_variant(
    variant: Variant,
    subject: Subject,
    settings: BenchSettings,
    tuning: Tuning | None,
    *,
    bound_s: float,
    threads: int,
    scratch: Path,
) -> ServerResult:
    """Finds the highest rate that a variant bears, in a process of its own.

    Args:
        variant: What answers.
        subject: Where the requests come from.
        settings: How many requests, and the seed.
        tuning: The variant's best settings; without them one runtime has all threads.
        bound_s: What the p99 has to stay under.
        threads: The CPUs that may be used.
        scratch: A folder for the inputs.

    Raises:
        RunError: If the variant can't be loaded or run.
    """
    streams, each = (tuning.settings.streams, tuning.settings.threads) if tuning else (1, threads)
    drawn = sample_features(subject.features, settings.server_requests, seed=settings.seed)
    path = scratch / "server.npz"
    save_workload(single_stream(drawn, pad_token_id=subject.pad_token_id, name="server"), path)
    trials: list[Trial] = []
    best: list[tuple[float, ...]] = []
    with WorkerProcess(variant.name, scratch=scratch, threads=threads) as process:
        process.load(variant.folder, variant.runtime)
        process.ask("arrange", streams=streams, threads=each)
        process.ask("pass", workload=str(path))  # meets every shape
        closed = process.ask("rate", workload=str(path), slice_s=_SLICE_S)["sentences_per_s"]

        def attempt(rate: float) -> bool:
            latencies, whole = _arrive(process, path, rate, bound_s, settings)
            p99 = percentile(latencies, SERVER_QUANTILE).value if whole else None
            kept = p99 is not None and p99 <= bound_s
            trials.append(Trial(rate, kept, p99))
            if kept:
                best[:] = [latencies]
            return kept

        assert isinstance(closed, int | float)
        lowest = max(closed * LOWEST_SHARE, settings.server_requests / _LONGEST_TRIAL_S)
        rate = highest_rate(attempt, first=closed * FIRST_SHARE, lowest=lowest)
    latencies = best[0] if best else ()
    return ServerResult(
        bound_s=bound_s,
        streams=streams,
        threads=each,
        requests=settings.server_requests,
        rate=rate,
        p50_s=percentile(latencies, 0.5).value if latencies else None,
        p99_s=percentile(latencies, SERVER_QUANTILE).value if latencies else None,
        latencies_s=latencies,
        trials=tuple(trials),
    )


def _arrive(
    process: WorkerProcess, path: Path, rate: float, bound_s: float, settings: BenchSettings
) -> tuple[tuple[float, ...], bool]:
    answer = process.ask(
        "arrive",
        workload=str(path),
        rate=rate,
        requests=settings.server_requests,
        seed=settings.seed,
        bound_s=bound_s,
        allowed=allowed_late(settings.server_requests),
    )
    seconds = answer["seconds"]
    values: Sequence[object] = seconds if isinstance(seconds, list) else ()
    latencies = tuple(round(float(one), 8) for one in values if isinstance(one, int | float))
    return latencies, bool(answer["whole"])
