"""Rounds at each variant's best settings, and what a report makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.artifacts.manifest import read_manifest
from bertcompress.bench import tuning
from bertcompress.bench.variant import Subject
from bertcompress.report.benchmark import bench
from bertcompress.report.report_files import summary_json
from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize
from fixtures.bench_runs import TUNED_RUN, fakes_to_tune


@pytest.fixture(scope="module")
def tuned_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tuned")


@pytest.fixture(scope="module")
def tuned(tuned_folder: Path, subject: Subject) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "UNSTEADY", 99.0)  # a busy machine must not fail these tests
        return bench(fakes_to_tune(tuned_folder), subject, settings=TUNED_RUN)


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
    assert (
        own.best_offline.sentences_per_s.estimate > rates[8]
    )  # nearly twice, where nothing else runs
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
