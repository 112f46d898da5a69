"""Energy: the counters, their wrapping, and what is said where there are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.bench.variant import Subject
from bertcompress.bench.worker import main as module
from bertcompress.bench.worker.fake import FakeArtifact, write_fake
from bertcompress.bench.worker.main import Worker
from bertcompress.bench.worker.messages import LoadArtifact, TimeEach
from bertcompress.bench.workload import save_workload, single_stream
from bertcompress.machine.energy import Counter, joules_between, read_energy
from bertcompress.report.page import html_of
from bertcompress.report.schema import Report
from bertcompress.report.tables.machine_facts import machine_facts
from bertcompress.report.variant_summary import joules_per_sentence


def write_zone(root: Path, zone: str, name: str, energy: str) -> None:
    folder = root / zone
    folder.mkdir()
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text("1000000\n")


def test_the_packages_are_read_and_their_parts_are_not(tmp_path: Path) -> None:
    write_zone(tmp_path, "intel-rapl:0", "package-0", "250000")
    write_zone(tmp_path, "intel-rapl:0:0", "core", "100000")
    write_zone(tmp_path, "intel-rapl:1", "psys", "900000")

    assert read_energy(tmp_path) == (Counter(250_000, 1_000_000),)


def test_where_nothing_can_be_read_there_is_nothing(tmp_path: Path) -> None:
    assert read_energy(tmp_path / "nowhere") is None
    write_zone(tmp_path, "intel-rapl:0", "package-0", "not a number")
    assert read_energy(tmp_path) is None


def test_joules_come_from_two_readings_also_around_the_wrap() -> None:
    low, high = (Counter(100_000, 1_000_000),), (Counter(900_000, 1_000_000),)

    assert joules_between(low, high) == pytest.approx(0.8)
    assert joules_between(high, low) == pytest.approx(0.2)
    assert joules_between(None, high) is None
    assert joules_between(low, (*high, *high)) is None


def test_the_measuring_process_reads_them_around_the_timed_calls(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = iter([(Counter(0, 10),), (Counter(5, 10),)])
    monkeypatch.setattr(module, "read_energy", lambda: next(readings))
    folder = write_fake(tmp_path / "a", FakeArtifact())
    path = tmp_path / "own.npz"
    save_workload(single_stream(subject.features[:4], pad_token_id=0, name="own"), path)
    worker = Worker()
    worker.load(LoadArtifact(folder, "fake", threads=1))

    answer = worker.time(TimeEach(path, start=0, stop=4, settle=2))
    worker.close()

    assert answer.energy_j == pytest.approx(5e-6)


def with_energy(report: Report, joules: float | None) -> Report:
    first, *others = report.results
    own = first.measurements[0]
    own = replace(own, energy_j=(joules,) * len(own.rounds))
    first = replace(first, measurements=(own, *first.measurements[1:]))
    return replace(report, results=(first, *others))


def test_energy_is_divided_by_the_sentences(report: Report) -> None:
    own = with_energy(report, 3.0).results[0].measurements[0]

    assert joules_per_sentence(own) == pytest.approx(3.0 / report.settings.requests)
    assert joules_per_sentence(replace(own, energy_j=(3.0, None, 3.0, 3.0, 3.0))) is None
    assert joules_per_sentence(report.results[0].measurements[0]) is None


def test_the_report_prints_it_or_says_that_there_is_none(make_report: object) -> None:
    report = make_report(count=60)  # type: ignore[operator]  # the fixture
    measured = with_energy(report, 3.0)

    assert fact(report, "Energy").startswith("not available")
    assert fact(measured, "Energy") == "of the whole processor package (RAPL)"
    assert "20 mJ" in html_of(measured)
    assert "mJ" not in html_of(report)


def fact(report: Report, name: str) -> str:
    return next(value.text for key, value in machine_facts(report).rows if key.text == name)
