"""Reports on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.errors import DataError, UsageError
from bertcompress.report.report_files import (
    read_report,
    summary_json,
    write_report,
)
from bertcompress.report.schema import Report


def test_the_three_files_are_written_and_read_back(report: Report, tmp_path: Path) -> None:
    files = write_report(report, tmp_path / "out")

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html",
        "report.json",
        "report.md",
    ]
    assert read_report(files.json) == report
    assert read_report(tmp_path / "out") == report


def test_kernels_are_read_back_and_reports_from_before_have_none(
    report: Report, tmp_path: Path
) -> None:
    line = replace(report.results[2].history[0], kernels={"MatMulIntegerToFloat": 36})
    results = list(report.results)
    results[2] = replace(results[2], history=(line,))
    counted = replace(report, results=tuple(results))
    file = write_report(counted, tmp_path).json

    assert read_report(file) == counted

    plain = json.loads(file.read_text(encoding="utf-8"))
    for result in plain["results"]:
        for step in result["history"]:
            del step["kernels"]
    file.write_text(json.dumps(plain), encoding="utf-8")
    assert read_report(file) == report


def test_the_summary_has_the_figures_that_scripts_need(report: Report) -> None:
    summary = summary_json(report)

    verdict, variants = summary["verdict"], summary["variants"]
    assert isinstance(verdict, dict)
    assert verdict["ship"] == "pruned + INT8"
    assert isinstance(variants, list)
    assert isinstance(variants[2], dict)
    assert variants[2]["name"] == "INT8"
    assert variants[2]["best_sentences_per_s"] > 0  # type: ignore[operator]  # a number


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a report"),
        ('{"format_version": 99}', "format 99, this bertcompress reads up to 1"),
        ('{"format_version": 1}', "is damaged: Report.tool_version is missing"),
    ],
)
def test_what_is_no_report_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(text, encoding="utf-8")

    with pytest.raises(DataError, match=message):
        read_report(tmp_path)


def test_a_report_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't read"):
        read_report(tmp_path / "nowhere.json")


def test_a_folder_that_can_not_be_made_is_an_error(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(UsageError, match="file is a file"):
        write_report(report, tmp_path / "file" / "out")
