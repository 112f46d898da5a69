"""Results on stdout, all else on stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize
from bertcompress.report.tables.variants import summary_table
from bertcompress_cli.output import note, notes, print_table, result, table

Capture = pytest.CaptureFixture[str]


def test_a_result_is_its_text_or_all_its_facts_on_one_line(capsys: Capture) -> None:
    facts = {"folder": Path("a"), "name": "größer"}

    result("a", facts, as_json=False)
    result("a", facts, as_json=True)

    text, line = capsys.readouterr().out.splitlines()
    assert text == "a"
    assert json.loads(line) == {"folder": "a", "name": "größer"}
    assert "größer" in line


def test_notes_leave_stdout_to_the_result(capsys: Capture) -> None:
    note("first")
    notes(["second", "third"])

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["note: first", "note: second", "note: third"]


def test_a_tables_first_column_stands_left_and_cells_are_no_markup(capsys: Capture) -> None:
    table(("name", "value"), [("[bold]a[/bold]", "1"), ("b", "1,000")], title="What")

    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0].strip() == "What"
    first, second = lines[-2:]
    assert first.lstrip().startswith("[bold]a[/bold]")
    assert first.rstrip().endswith(" 1")
    assert first.rstrip().index("1") == len(second.rstrip()) - 1


def test_a_reports_table_goes_to_stderr_if_asked(report: Report, capsys: Capture) -> None:
    print_table(summary_table(report, summarize(report)), stderr=True)

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "pruned + INT8" in captured.err


@pytest.mark.parametrize("as_json", [False, True])
def test_a_terminal_without_the_letters_gets_escapes(as_json: bool) -> None:
    code = (
        "from bertcompress_cli.output import result, write_what_it_can; write_what_it_can(); "
        f"result('gr\\u00f6\\u00dfer \\udcff', {{'name': 'gr\\u00f6\\u00dfer'}}, as_json={as_json})"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )

    if as_json:
        assert json.loads(ended.stdout) == {"name": "größer"}
    else:
        assert ended.stdout == "gr\\xf6\\xdfer \\udcff\n"
