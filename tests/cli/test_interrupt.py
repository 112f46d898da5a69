"""Ctrl-C in each phase: exit code 130, one sentence, nothing half-written, and it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import psutil
import pytest

from bertcompress.report.report_files import read_report

Run = Callable[..., CompletedProcess[str]]
Ok = Callable[..., str]

PHASES = {
    "curvature": ("prune", "--heads", "0.3"),
    "sweep": ("prune", "--ffn", "0.3"),
    "re-fit": ("prune", "--heads", "0.3"),
    "importance": ("prune", "--heads", "0.3", "--score", "fisher"),
    "layers": ("prune", "--layers", "1"),
    "fine-tune": ("finetune", "--epochs", "1"),
    "export": ("export",),
    "calibrate": ("quantize", "--bits", "8"),
    "quantize": ("quantize", "--bits", "8", "--method", "dynamic"),
}


@pytest.fixture
def interrupt_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Gives ``interrupt_at("export")``: Ctrl-C as soon as that stage is told; None lifts it."""
    from bertcompress_cli import progress

    draw, stop = progress._Lines.__call__, [""]

    def told(self: progress._Lines, stage: str, done: int, total: int) -> None:
        if stop[0] and stop[0] in stage:
            raise KeyboardInterrupt
        draw(self, stage, done, total)

    def set_stage(stage: str | None) -> None:
        stop[0] = stage or ""

    monkeypatch.setattr(progress._Lines, "__call__", told)
    return set_stage


@pytest.mark.slow
@pytest.mark.parametrize("stage", PHASES)
def test_an_interrupted_verb_leaves_the_workspace_usable(
    bc: Run,
    ok: Ok,
    workspace: Path,
    interrupt_at: Callable[[str | None], None],
    stage: str,
) -> None:
    interrupt_at(stage)
    outcome = bc(*PHASES[stage])
    artifacts = workspace / "artifacts"
    visible = [path.name for path in artifacts.glob("[!.]*")] if artifacts.is_dir() else []
    interrupt_at(None)

    assert outcome.returncode == 130
    assert outcome.stderr.splitlines()[-1] == (
        "interrupted; finished steps are kept: the same command goes on"
    )
    assert outcome.stdout == ""
    assert visible == []
    made = ok(*PHASES[stage])
    assert made == f"artifacts/001-{PHASES[stage][0]}"
    assert [path.name for path in artifacts.iterdir()] == [Path(made).name]


@pytest.mark.usefixtures("workspace")
def test_an_interrupted_pruning_measures_nothing_again(
    bc: Run, ok: Ok, interrupt_at: Callable[[str | None], None]
) -> None:
    interrupt_at("re-fit")
    assert bc(*PHASES["re-fit"]).returncode == 130

    interrupt_at("curvature")  # which is finished, and not told again

    assert ok(*PHASES["re-fit"]) == "artifacts/001-prune"


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["answers", "timing"])
def test_an_interrupted_benchmark_writes_no_report(
    bc: Run,
    ok: Ok,
    workspace: Path,
    short_quick: None,
    interrupt_at: Callable[[str | None], None],
    stage: str,
) -> None:
    line = ("bench", ok("export"), "--quick", "--threads", "1")
    interrupt_at(stage)

    assert bc(*line).returncode == 130

    interrupt_at(None)
    assert not any(workspace.glob("reports/*/report.*"))
    assert ok(*line) == "reports/001/report.html"


def test_a_recipe_goes_on_where_it_stopped(
    bc: Run,
    ok: Ok,
    here: Path,
    quick_recipe: Callable[..., Path],
    interrupt_at: Callable[[str | None], None],
) -> None:
    recipe = quick_recipe(
        "both: [ {prune-heads: {fraction: 0.25}}, {prune-layers: {count: 1}} ]", bench="false"
    )
    interrupt_at("layers")
    assert bc("run", recipe, "-o", "out").returncode == 130
    interrupt_at("importance")  # which is finished: to reach it again would end this test

    assert ok("run", recipe, "-o", "out") == "out/both"


@pytest.mark.slow
def test_a_real_signal_ends_all_processes_and_finished_rounds_are_kept(
    ok: Ok, here: Path, model: Path, data: Path
) -> None:
    ok("export", model, "-o", "graph")
    line = ("bench", "graph", "--data", str(data), "--quick", "--threads", "1", "-o", "report")
    start = "import sys; from bertcompress_cli.main import main; main()"
    paths = os.pathsep.join(path for path in sys.path if path)
    running = subprocess.Popen(
        [sys.executable, "-c", start, *line],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ended_by = time.monotonic() + 120
    while not (finished := list(here.glob("report/.state/*/round-000.json"))):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < ended_by
        time.sleep(0.02)
    children = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(signal.SIGINT)
    result, said = running.communicate(timeout=60)

    assert running.returncode == 130
    assert said.splitlines()[-1] == "interrupted; finished steps are kept: the same command goes on"
    assert "Traceback" not in said
    assert result == ""
    left = [child.name() for child in psutil.wait_procs(children, timeout=5)[1]]
    assert left == []
    assert not any(here.glob("report/report.*"))
    [kept] = finished
    first = json.loads(kept.read_text(encoding="utf-8"))["entrants"][0]["seconds"][0]

    ok(*line)

    report = read_report(here / "report")
    assert list(report.results[0].measurements[0].rounds[0]) == first
