"""A gate needs a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from bertcompress.report.report_files import write_report
from bertcompress.report.schema import Report

Ok = Callable[..., str]


def test_an_accuracy_gate_is_exit_code_3(fails: Ok, here: Path, ok: Ok) -> None:
    assert "can't read" in fails(1, "gate", "nowhere", "--max-drop", "1%")
    assert "takes a quantity such as" in fails(2, "gate", "nowhere", "--max-drop", "little")


def test_the_newest_report_is_taken(
    fails: Ok, bc: Callable[..., CompletedProcess[str]], here: Path, report: Report
) -> None:
    assert "there is no report here yet" in fails(2, "gate", "--max-drop", "1%")
    write_report(report, here / "measured")

    outcome = bc("gate", "--max-drop", "50%", "--min-speedup", "1.01", "--variant", "INT8")
    assert outcome.returncode == 0
    assert "note: these are the bounds of measured, the newest report here" in outcome.stderr
    assert outcome.stdout.strip() == "2 of 2 gates passed"
