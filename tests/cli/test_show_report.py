"""A report on the terminal: table and verdict for people, one JSON object for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertcompress.errors import SpeedGateError
from bertcompress.gates.gate import GateLimits
from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize
from bertcompress_cli.show_report import check, show_report, tell_ci

Capture = pytest.CaptureFixture[str]


def test_people_get_table_and_verdict_and_the_page_is_the_result(
    report: Report, capsys: Capture
) -> None:
    show_report(report, Path("reports/001"), as_json=False)

    captured = capsys.readouterr()
    assert captured.out == "reports/001/report.html\n"
    assert all(result.name in captured.err for result in report.results)
    assert captured.err.rstrip().endswith(summarize(report).verdict.sentences[-1])


def test_programs_get_one_object(report: Report, capsys: Capture) -> None:
    show_report(report, Path("reports/001"), as_json=True)

    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert captured.err == ""
    assert facts["report"] == "reports/001/report.html"
    assert [row["name"] for row in facts["variants"]] == [it.name for it in report.results]


def test_bounds_that_were_kept_are_told_and_a_broken_one_is_the_error(
    report: Report, capsys: Capture
) -> None:
    kept = check(report, GateLimits(max_size_bytes=100_000_000), variants=["INT8"])

    assert [result.state for result in kept] == ["passed"]
    assert capsys.readouterr().err.startswith("passed: INT8")
    with pytest.raises(SpeedGateError, match="INT8: "):
        check(report, GateLimits(max_size_bytes=1000), variants=["INT8"])
    assert capsys.readouterr().err == ""


def test_ci_is_told_the_verdict_and_where_the_files_are(
    report: Report, tmp_path: Path, actions: Path
) -> None:
    summary = summarize(report)

    tell_ci(report, summary, [], page=tmp_path / "report.html", out=tmp_path / "ci")

    outputs = (actions / "GITHUB_OUTPUT").read_text()
    assert summary.verdict.headline in outputs
    junit = next(path for path in (tmp_path / "ci").iterdir() if path.suffix == ".xml")
    assert str(junit) in outputs
    assert "pruned + INT8" in (actions / "GITHUB_STEP_SUMMARY").read_text()
