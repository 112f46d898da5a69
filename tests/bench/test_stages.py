"""Runs at each variant's best settings: measured, kept, saved, told."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.artifacts.manifest import read_manifest, write_manifest
from bertcompress.bench import run as measuring
from bertcompress.bench import stages, tuning
from bertcompress.bench.request_rate import ServerResult, Trial
from bertcompress.bench.roofs import Roofs
from bertcompress.bench.run import workloads_of
from bertcompress.bench.settings import QUICK, BenchSettings
from bertcompress.bench.stages import measure_roofs, without_long_passages
from bertcompress.bench.tune import tune_variant
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker import roof_kernels
from bertcompress.bench.worker.fake import FakeArtifact, write_fake
from bertcompress.codec import from_plain, to_plain
from bertcompress.errors import UsageError
from bertcompress.report.benchmark import bench
from bertcompress.report.report_files import summary_json
from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize

SMALL = BenchSettings(
    rounds=2,
    requests=6,
    grid_repeats=0,
    offline_batches=(1, 8),
    offline_sentences=64,
    blocks=2,
    warm_minimum_s=0.02,
    warm_maximum_s=0.05,
    threads=2,
    accuracy=False,
    again=False,
    roofs=False,
    tune_batches=(1, 8),
    tune_slice_s=0.02,
)


def two_fakes(folder: Path) -> list[Variant]:
    one = write_fake(folder / "a", FakeArtifact(seconds=0.002, parallel=0.95, crowding=0.9))
    two = write_fake(folder / "b", FakeArtifact(seconds=0.001, crowding=0.02))
    write_manifest(one, kind="checkpoint", task="text-classification", history=[])
    return [Variant("FP32", one, "fake"), Variant("INT8", two, "fake")]


@pytest.fixture
def variants(tmp_path: Path) -> list[Variant]:
    return two_fakes(tmp_path)


@pytest.fixture(scope="module")
def tuned_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tuned")


@pytest.fixture(scope="module")
def tuned(tuned_folder: Path, subject: Subject) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "UNSTEADY", 99.0)  # a busy machine must not fail these tests
        return bench(two_fakes(tuned_folder), subject, settings=SMALL)


def test_each_variant_is_measured_at_its_own_best(tuned: Report, tuned_folder: Path) -> None:
    first, second = tuned.results
    assert first.tuning is not None
    assert second.tuning is not None
    one, two = first.tuning.settings, second.tuning.settings
    assert (one.streams, one.threads, one.latency_threads) == (1, 2, 2)
    assert (two.streams, two.threads) == (2, 1)
    assert {one.batch_size, two.batch_size} == {8}
    assert [m.name for m in first.measurements] == [
        "own-lengths",
        "offline-1",
        "offline-8",
        "offline at best",
    ]
    best = first.measurements[-1]
    assert [len(row) for row in best.rounds] == [3, 3]
    assert best.sentences == ((64,) * 3,) * 2
    assert best.tokens[0][0] == sum(first.measurements[1].tokens[0])
    assert first.best_peak_bytes is not None
    manifest = read_manifest(tuned_folder / "a")
    assert manifest is not None
    assert "fake" in manifest.runtime
    assert (first.tuning.saved, second.tuning.saved) == (True, False)


def test_the_summary_holds_the_tuned_rates(tuned: Report) -> None:
    summary = summarize(tuned)
    own = summary.variants[1]

    assert own.best_offline is not None
    assert own.best_throughput is own.best_offline
    assert own.best_throughput_settings == "2 streams × 1 thread, batch 8"
    rates = {one.batch_size: one.sentences_per_s.estimate for one in own.throughput}
    assert own.best_offline.sentences_per_s.estimate > 1.3 * rates[8]
    assert own.best_offline.speedup is not None
    plain = summary_json(tuned, summary)["variants"]
    assert isinstance(plain, list)
    assert isinstance(plain[1], dict)
    settings = plain[1]["best_settings"]
    assert isinstance(settings, dict)
    assert (settings["streams"], settings["threads"]) == (2, 1)


def test_single_sentences_are_measured_anew_only_at_another_number_of_threads(
    tuned: Report,
) -> None:
    """Threads bring INT8 nothing, so one is its best; FP32 keeps the two it was compared at."""
    for result, summary in zip(tuned.results, summarize(tuned).variants, strict=True):
        assert result.tuning is not None
        other = result.tuning.settings.latency_threads != 2
        names = [measurement.name for measurement in result.measurements]
        assert ("own-lengths at best" in names) == other
        assert (summary.best_latency is not None) == other


def test_without_tuning_nothing_is_tried_or_written(
    variants: Sequence[Variant], subject: Subject
) -> None:
    before = (variants[0].folder / "bertcompress.json").read_bytes()

    report = bench(variants, subject, settings=replace(SMALL, tune=False, rounds=1))

    assert (variants[0].folder / "bertcompress.json").read_bytes() == before
    assert report.results[0].tuning is None
    assert [m.scenario for m in report.results[0].measurements] == [
        "single-stream",
        "offline",
        "offline",
    ]
    assert QUICK.tune is False


def test_an_interrupted_run_does_not_tune_again(
    variants: Sequence[Variant], subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tunings: list[str] = []

    def counted(variant: Variant, *arguments: object, **settings: object) -> object:
        tunings.append(variant.name)
        return tune_variant(variant, *arguments, **settings)  # type: ignore[arg-type]  # as given

    def stop(*arguments: object, **settings: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "tune_variant", counted)
    with monkeypatch.context() as patch:
        patch.setattr(measuring, "measure_round", stop)
        with pytest.raises(KeyboardInterrupt):
            bench(variants, subject, settings=SMALL, state_root=tmp_path / "state")
    report = bench(variants, subject, settings=SMALL, state_root=tmp_path / "state")

    assert tunings == ["FP32", "INT8"]
    assert report.results[0].tuning is not None


def test_requests_are_bounded_by_four_times_the_baselines_median(
    variants: Sequence[Variant], subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, float, int]] = []

    def serve(variant: Variant, *arguments: object, **settings: object) -> ServerResult:
        bound, tuning = settings["bound_s"], arguments[2]
        assert isinstance(bound, float)
        asked.append((variant.name, bound, 0 if tuning is None else 1))
        return ServerResult(bound, 2, 1, 662, 90.0, 0.003, 0.009, (0.003,), (Trial(90.0, True, 1),))

    monkeypatch.setattr(stages, "serve_variant", serve)
    settings = replace(SMALL, server=True, tune=False, rounds=1)
    report = bench(variants, subject, settings=settings)
    bench(variants, subject, settings=replace(settings, server_bound_s=0.25))

    latency = summarize(report).base.latency
    assert latency is not None
    assert [(name, tuned) for name, _, tuned in asked[:2]] == [("FP32", 0), ("INT8", 0)]
    bounds = [bound for _, bound, _ in asked]
    assert bounds[0] == bounds[1] == pytest.approx(4 * latency.median.estimate)
    assert bounds[2:] == [0.25, 0.25]
    assert report.results[1].server is not None
    assert report.results[1].server.rate == 90.0


def test_passages_are_a_workload_of_their_own(subject: Subject) -> None:
    settings = replace(SMALL, passage_length=48, passage_repeats=3)

    made = {workload.name: workload for workload in workloads_of(subject, settings, 0)}

    passages = made["passages-48"]
    assert passages.scenario == "grid"
    assert {feed["input_ids"].shape for feed in passages.feeds} == {(1, 48)}
    assert len(passages.feeds) == 3
    assert "passages-48" not in {w.name for w in workloads_of(subject, SMALL, 0)}


def test_passages_longer_than_a_model_reads_are_left_out_with_a_sentence(
    variants: Sequence[Variant], subject: Subject
) -> None:
    config = {"max_position_embeddings": 128}
    (variants[1].folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    asked = replace(SMALL, passage_length=384, tune=False, rounds=1)

    assert without_long_passages(variants[:1], asked) == (asked, ())
    fitting, skipped = without_long_passages(variants, asked)
    report = bench(variants, subject, settings=asked)

    assert fitting.passage_length is None
    assert skipped == report.skipped
    sentence = "passages of 384 tokens were left out: INT8 reads at most 128"
    assert skipped == (sentence,)
    assert "Passages" + sentence[8:] + "." in summarize(report).verdict.doubts


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"server": True, "server_requests": 100}, "at least 662, which a p99 needs, got 100"),
        ({"server_bound_s": 0.0}, "server_bound_s must be above 0"),
        ({"tune_slice_s": 0.0}, "tune_slice_s must be above 0"),
        ({"tune_batches": ()}, "tune_batches"),
        ({"passage_length": 2}, "passage_length must be at least 3"),
        ({"passage_repeats": 0}, "passage_repeats must be at least 1"),
    ],
)
def test_settings_that_can_not_be_meant_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        BenchSettings(**settings)  # type: ignore[arg-type]  # wrong on purpose


def test_all_limits_are_measured_in_a_process_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roof_kernels, "measure", None)  # nothing is measured here

    found = measure_roofs(scratch=tmp_path, threads=2, seconds=0.02)

    assert found.unavailable == ()
    kinds = {(one.kind, one.threads) for one in found.measured}
    assert kinds == {(k, n) for k in ("fp32", "int8", "read", "copy") for n in (1, 2)}
    assert all(one.rate > 1e8 and len(one.samples) >= 6 for one in found.measured)
    assert all(min(one.samples) <= one.rate <= max(one.samples) for one in found.measured)
    assert found.roof("fp32") == found.roof("fp32", threads=2)
    assert found.roof("fp32", threads=3) is None
    assert from_plain(Roofs, to_plain(found)) == found


def test_a_process_that_fails_is_a_sentence_not_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    found = measure_roofs(scratch=tmp_path, threads=1, seconds=0.01)

    assert found.measured == ()
    assert "the machine's limits: its measuring process ended with 1" in found.unavailable[0]
