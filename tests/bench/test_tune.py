"""Tuning in a real measuring process, on fakes whose best settings are known by arithmetic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.artifacts.manifest import read_manifest, write_manifest
from bertcompress.bench import tune as tune_variants
from bertcompress.bench import tuning as tuning_module
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.tune import tune_variant
from bertcompress.bench.tuning import RuntimeCandidate, candidates, layouts
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.fake import FakeArtifact, service_seconds, write_fake
from bertcompress.bench.workload import all_at_once, sample_features
from bertcompress.errors import RunError
from bertcompress.inference.best_settings import runtime_settings_of

pytestmark = pytest.mark.timing

BATCHES = (1, 8, 32)
SETTINGS = BenchSettings(tune_batches=BATCHES, tune_slice_s=0.05, offline_sentences=60)

STREAMS_WIN = FakeArtifact(seconds=0.002, parallel=0.5, crowding=0.05, knee=200)
THREADS_WIN = FakeArtifact(seconds=0.002, parallel=0.95, crowding=0.6, knee=200)
LARGE_BATCHES_WIN = FakeArtifact(seconds=0.004, parallel=0.5, crowding=0.05)


def known_best(fake: FakeArtifact, subject: Subject) -> RuntimeCandidate:
    """Returns the settings with the highest rate, computed from the fake's service time."""
    features = sample_features(subject.features, 60, seed=0)

    def rate(one: RuntimeCandidate) -> float:
        feeds = all_at_once(
            features,
            batch_size=one.batch_size,
            sort_by_length=one.sort_by_length,
            pad_token_id=0,
        ).feeds
        streams, threads = one.layout.streams, one.layout.threads
        sizes = [feed["input_ids"].size for feed in feeds]
        taken = sum(service_seconds(fake, size, opened=streams, threads=threads) for size in sizes)
        return streams / taken

    tried = candidates(layouts(2, most_streams=9), batch_sizes=BATCHES, features=60)
    return max(tried, key=rate)


@pytest.mark.parametrize(
    ("fake", "streams", "threads", "batch"),
    [(STREAMS_WIN, 2, 1, 8), (THREADS_WIN, 1, 2, 8), (LARGE_BATCHES_WIN, 2, 1, 32)],
)
def test_the_known_best_settings_are_found_and_saved(
    fake: FakeArtifact,
    streams: int,
    threads: int,
    batch: int,
    subject: Subject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    best = known_best(fake, subject)
    assert (best.layout.streams, best.layout.threads) == (streams, threads)
    assert (best.batch_size, best.sort_by_length) == (batch, True)
    folder = write_fake(tmp_path / "a", fake)
    write_manifest(folder, kind="onnx", task="text-classification", history=[])
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(tuning_module, "UNSTEADY", 99.0)  # a busy machine must not fail this test

    tuning = tune_variant(
        Variant("A", folder, "fake"),
        subject,
        SETTINGS,
        threads=2,
        scratch=tmp_path,
        told=lambda *event: told.append(event),
    )

    found = tuning.settings
    assert (found.streams, found.threads) == (streams, threads)
    assert (found.batch_size, found.sort_by_length) == (batch, True)
    assert found.latency_threads == 2
    assert (found.runtime, found.cpus) == ("fake", 2)
    assert found.cpu_model
    assert len(tuning.candidates) == 15
    assert told[-1] == (15, 15)
    assert tuning.saved
    assert runtime_settings_of(read_manifest(folder), "fake") == found


def test_threads_that_bring_nothing_are_not_taken(subject: Subject, tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "a", FakeArtifact(seconds=0.003, crowding=5.0))
    settings = replace(SETTINGS, tune_batches=(4,), tune_slice_s=0.03)

    tuning = tune_variant(
        Variant("A", folder, "fake"), subject, settings, threads=2, scratch=tmp_path
    )

    assert (tuning.settings.streams, tuning.settings.threads) in {(1, 1), (1, 2)}
    assert not tuning.saved
    assert sorted(one.threads for one in tuning.latencies) == [1, 2]


def test_settings_found_on_an_unsteady_machine_are_not_saved(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_fake(tmp_path / "a", FakeArtifact(seconds=0.001))
    write_manifest(folder, kind="onnx", task="text-classification", history=[])
    monkeypatch.setattr(tuning_module, "UNSTEADY", -1.0)  # any turns are too far apart then
    settings = replace(SETTINGS, tune_batches=(8,), tune_slice_s=0.01)

    tuning = tune_variant(
        Variant("A", folder, "fake"), subject, settings, threads=1, scratch=tmp_path
    )

    manifest = read_manifest(folder)
    assert tuning.unsteady is not None
    assert not tuning.saved
    assert manifest is not None
    assert manifest.runtime == {}


def test_streams_must_fit_into_memory(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_fake(tmp_path / "a", STREAMS_WIN)
    monkeypatch.setattr(tune_variants, "MEMORY_SHARE", 0.0)

    tuning = tune_variant(
        Variant("A", folder, "fake"),
        subject,
        replace(SETTINGS, tune_batches=(8,), tune_slice_s=0.01),
        threads=2,
        scratch=tmp_path,
    )

    assert {one.streams for one in tuning.candidates} == {1}


def test_a_variant_that_fails_is_named(subject: Subject, tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "a", FakeArtifact(fail_run="no kernel"))

    with pytest.raises(RunError, match="INT8: no kernel"):
        tune_variant(
            Variant("INT8", folder, "fake"), subject, SETTINGS, threads=2, scratch=tmp_path
        )
