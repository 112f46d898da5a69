"""A report once more: as Markdown, as JSON, and as its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bertcompress.report.report_files import read_report, write_report
from bertcompress.report.schema import Report

Ok = Callable[..., str]


def test_a_report_is_printed_as_markdown_or_json(ok: Ok, here: Path, report: Report) -> None:
    write_report(report, here / "first")

    assert ok("report", "first").startswith("# ")
    facts = json.loads(ok("report", "first/report.json", "--json"))
    assert [row["name"] for row in facts["variants"]] == [it.name for it in report.results]


def test_a_report_is_written_again_whole(ok: Ok, here: Path, report: Report) -> None:
    write_report(report, here / "first")

    assert ok("report", "first", "-o", "again") == "again/report.html"

    assert read_report(here / "again") == report
    for name in ("report.json", "report.md", "report.html"):
        assert (here / "again" / name).read_bytes() == (here / "first" / name).read_bytes()


def test_what_is_no_report_is_one_sentence(fails: Ok, here: Path) -> None:
    (here / "report.json").write_text("{}")

    assert "is not a report: it has no format_version" in fails(1, "report", "report.json")
