"""Runs at each variant's best settings: measured, kept, saved, told."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.bench import run as measuring
from bertcompress.bench import stages
from bertcompress.bench.request_rate import ServerResult, Trial
from bertcompress.bench.roofs import Roofs
from bertcompress.bench.settings import QUICK
from bertcompress.bench.stages import measure_roofs, without_long_passages
from bertcompress.bench.tune import tune_variant
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker import roof_kernels
from bertcompress.codec import from_plain, to_plain
from bertcompress.report.benchmark import bench
from bertcompress.report.summary import summarize
from fixtures.bench_runs import TUNED_RUN, fakes_to_tune


@pytest.fixture
def variants(tmp_path: Path) -> list[Variant]:
    return fakes_to_tune(tmp_path)


def test_without_tuning_nothing_is_tried_or_written(
    variants: Sequence[Variant], subject: Subject
) -> None:
    before = (variants[0].folder / "bertcompress.json").read_bytes()

    report = bench(variants, subject, settings=replace(TUNED_RUN, tune=False, rounds=1))

    assert (variants[0].folder / "bertcompress.json").read_bytes() == before
    assert report.results[0].tuning is None
    assert [m.scenario for m in report.results[0].measurements] == [
        "single-stream",
        "offline",
        "offline",
    ]
    assert QUICK.tune is False


@pytest.mark.slow
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
            bench(variants, subject, settings=TUNED_RUN, state_root=tmp_path / "state")
    report = bench(variants, subject, settings=TUNED_RUN, state_root=tmp_path / "state")

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
    settings = replace(TUNED_RUN, server=True, tune=False, rounds=1)
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


def test_passages_longer_than_a_model_reads_are_left_out_with_a_sentence(
    variants: Sequence[Variant], subject: Subject
) -> None:
    config = {"max_position_embeddings": 128}
    (variants[1].folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    asked = replace(TUNED_RUN, passage_length=384, tune=False, rounds=1)

    assert without_long_passages(variants[:1], asked) == (asked, ())
    fitting, skipped = without_long_passages(variants, asked)
    report = bench(variants, subject, settings=asked)

    assert fitting.passage_length is None
    assert skipped == report.skipped
    sentence = "passages of 384 tokens were left out: INT8 reads at most 128"
    assert skipped == (sentence,)
    assert "Passages" + sentence[8:] + "." in summarize(report).verdict.doubts


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
