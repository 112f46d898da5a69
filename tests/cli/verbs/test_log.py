"""What the log shows of a workspace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Ok = Callable[..., str]
Run = Callable[..., CompletedProcess[str]]


@pytest.mark.slow
def test_log_shows_what_a_bench_measured(ok: Ok, workspace: Path, short_quick: None) -> None:
    ok("prune", "--heads", "0.3")
    ok("export")
    page = ok("bench", "artifacts/002-export", "--quick", "--threads", "1")

    logged = json.loads(ok("log", "--json"))["artifacts"]

    assert page == "reports/001/report.html"
    assert [line["folder"] for line in logged] == ["artifacts/001-prune", "artifacts/002-export"]
    assert logged[0]["accuracy"] is None
    assert 0 <= logged[1]["accuracy"] <= 1
    assert logged[1]["latency_s"] > 0
    assert "002-export" in ok("log")


def test_log_says_what_measures_the_rest(ok: Ok, bc: Run, workspace: Path) -> None:
    ok("prune", "--heads", "0.3")

    outcome = bc("log")

    assert outcome.returncode == 0
    assert "not measured" in outcome.stdout
    assert outcome.stderr == "next: bertcompress bench, which measures all of them\n"


def test_log_outside_a_workspace_says_how_to_make_one(fails: Ok, here: Path) -> None:
    assert "bertcompress init --model MODEL --data DATA" in fails(2, "log")
