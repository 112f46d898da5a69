"""Whole runs on fake artifacts: rounds, resuming, errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bertcompress.bench.variant import Subject
from bertcompress.bench.worker.fake import FILE_NAME, FakeArtifact, write_fake
from bertcompress.machine.environment import read_environment
from bertcompress.report import benchmark
from bertcompress.report.benchmark import bench
from bertcompress.report.summary import summarize
from fixtures.bench_runs import SMALL_RUN, two_fakes


def test_a_run_measures_everything_on_every_variant(subject: Subject, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    report = bench(
        two_fakes(tmp_path),
        replace(subject, tokenize=lambda example: example.id.split()),
        settings=SMALL_RUN,
        state_root=tmp_path / "state",
        command="bertcompress bench a b",
        progress=lambda *event: told.append(event),
    )

    base, other = report.results
    assert [result.name for result in report.results] == ["FP32", "INT8"]
    assert [m.name for m in base.measurements] == [
        "own-lengths",
        "grid-1x8",
        "grid-1x16",
        "offline-1",
        "offline-4",
    ]
    own = base.measurements[0]
    assert [len(row) for row in own.rounds] == [6, 6]
    assert own.tokens == other.measurements[0].tokens
    assert own.tokens[0] != own.tokens[1]
    assert report.again is not None
    assert [len(row) for row in report.again.rounds] == [6, 6]
    assert base.accuracy is not None
    assert base.accuracy.interval is not None
    assert base.paired is None
    assert other.paired is not None
    assert 0 < other.paired.flip_count < 30
    assert len(base.memory) == 2
    assert min(base.first_answer_s) >= min(base.load_s) > 0
    assert base.size.file_bytes == (tmp_path / "a" / FILE_NAME).stat().st_size
    assert report.environment.busy_fraction is not None
    assert len(report.tokenization_s) == 6
    assert all(0 <= second < 0.1 for second in report.tokenization_s)
    assert told[-1][1] == told[-1][2]
    speedup = summarize(report).variants[1].latency
    assert speedup is not None
    assert speedup.speedup is not None
    assert speedup.speedup.estimate > 1.0
    assert list((tmp_path / "state").iterdir()) == []


def test_other_settings_start_anew(subject: Subject, tmp_path: Path) -> None:
    variants = two_fakes(tmp_path)
    machine = read_environment(threads=1, thread_variables={})

    one = benchmark._state_key(variants, subject, SMALL_RUN, machine)
    write_fake(tmp_path / "b", FakeArtifact(seconds=0.0001))

    assert benchmark._state_key(variants, subject, replace(SMALL_RUN, seed=1), machine) != one
    assert benchmark._state_key(variants, subject, SMALL_RUN, machine) != one
