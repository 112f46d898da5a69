"""What GitHub Actions is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.errors import RunError
from bertcompress.gates.gate import GateResult
from bertcompress_cli.github import MOST_BYTES, publish


def test_outside_of_actions_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)

    publish("# title", [GateResult("head", "drop", "failed", "lost")], {"verdict": "worse"})

    assert capsys.readouterr() == ("", "")


def test_outputs_of_several_lines_have_a_border(actions: Path) -> None:
    publish("", [], {"verdict": "one\nok=false", "slowdown": 0.05})

    lines = (actions / "GITHUB_OUTPUT").read_text(encoding="utf-8").splitlines()
    border = next(line for line in lines if line.startswith("verdict<<")).removeprefix("verdict<<")
    at = lines.index("one")
    assert lines[at : at + 3] == ["one", "ok=false", border]
    assert lines[-1] == "slowdown=0.05"
    assert lines[0] == "ok=true"


def test_a_summary_that_actions_would_refuse_is_shortened(actions: Path) -> None:
    publish("ü" * 100 + "\n" + ("line ü\n" * MOST_BYTES), [], {})

    text = (actions / "GITHUB_STEP_SUMMARY").read_bytes()
    assert len(text) < MOST_BYTES + 200
    assert text.decode().endswith("this page has no room for it.\n")


def test_a_file_that_can_not_be_written_is_named(
    actions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(actions / "gone" / "file"))

    with pytest.raises(RunError, match="GITHUB_OUTPUT"):
        publish("", [], {})
