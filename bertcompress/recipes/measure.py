"""Measures variants and writes the report into a folder, where finished rounds wait meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertcompress.bench.peers import SAMPLES, make_peers
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.variant import Subject, Variant
from bertcompress.machine.environment import available_threads
from bertcompress.progress import Progress
from bertcompress.report.benchmark import bench
from bertcompress.report.report_files import write_report
from bertcompress.report.schema import Report
from bertcompress.tasks import Feature

_STATE, _PEERS = ".state", ".peers"


@dataclass(frozen=True)
class PeerSource:
    """What peers are made from.

    Attributes:
        model: The checkpoint's folder.
        features: Returns the given number of training texts as tokens.
    """

    model: Path
    features: Callable[[int], Sequence[Feature]]


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
    state, skipped = folder / _STATE, list[str]()
    if settings.peers and peers is not None:
        made, skipped = make_peers(
            peers.model,
            peers.features(SAMPLES),
            folder / _PEERS,
            threads=settings.threads or available_threads(),
            pad_token_id=subject.pad_token_id,
            progress=progress,
        )
        variants = [*variants, *made]
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
    shutil.rmtree(state, ignore_errors=True)
    shutil.rmtree(folder / _PEERS, ignore_errors=True)
    return report
