"""The GitHub action: its own scripts, run as Actions runs them, on a made-up report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from bertcompress.report.report_files import write_report
from bertcompress.report.schema import Report

ROOT = Path(__file__).resolve().parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")

# Measuring verbs only note what they were asked; the others are the real command.
_COMMAND = """#!{python}
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1] not in ("bench", "compare"):
    from bertcompress_cli.main import main
    main()
"""
_PYTHON = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done > "$PIP_CALL"
"""


@dataclass
class Job:
    """What Actions would know after the steps."""

    codes: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    summary: str = ""
    log: str = ""
    calls: list[list[str]] = field(default_factory=list)
    installed: list[str] = field(default_factory=list)


def value_of(expression: str, inputs: dict[str, str]) -> object:
    """Evaluates an expression of action.yml: inputs, strings, && || != and status functions."""
    text = expression.replace("github.action_path", repr(str(ROOT)))
    text = re.sub(r"inputs\.([a-z-]+)", lambda match: repr(inputs[match[1]]), text)
    text = text.replace("always()", "True").replace("!cancelled()", "True")
    return eval(text.replace("&&", " and ").replace("||", " or "), {})


def filled(text: str, inputs: dict[str, str]) -> str:
    return _EXPRESSION.sub(lambda match: str(value_of(match[1], inputs)), text)


def outputs_of(text: str) -> dict[str, str]:
    """Reads GITHUB_OUTPUT: ``name=value`` lines, and ``name<<border`` blocks."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and "<<" not in name:
            found[name] = value
            continue
        name, _, border = line.partition("<<")
        block = []
        for inner in lines:
            if inner == border:
                break
            block.append(inner)
        found[name] = "\n".join(block)
    return found


@pytest.fixture
def report_folder(report: Report, tmp_path: Path) -> Path:
    write_report(report, tmp_path / "a report")
    return tmp_path / "a report"


@pytest.fixture
def run_action(tmp_path: Path) -> Callable[..., Job]:
    """Gives ``run_action(report=…)``: runs all steps in an empty folder and returns the job."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in {"bertcompress": _COMMAND, "python": _PYTHON}.items():
        (tools / name).write_text(
            text.format(python=sys.executable) if "{python}" in text else text
        )
        (tools / name).chmod(0o755)
    paths = [str(ROOT), str(ROOT / "cli"), str(ROOT / "calibration")]

    def run(**given: str) -> Job:
        typed = {name.replace("_", "-"): value for name, value in given.items()}
        assert set(typed) <= set(ACTION["inputs"])
        inputs = {name: one["default"] for name, one in ACTION["inputs"].items()} | typed
        job, work = Job(), tmp_path / "work"
        work.mkdir(exist_ok=True)
        for at, step in enumerate(ACTION["runs"]["steps"]):
            condition = str(step.get("if", "True")).removeprefix("${{").removesuffix("}}").strip()
            stopped = any(job.codes.values()) and "()" not in condition
            if "run" not in step or stopped or not value_of(condition, inputs):
                continue
            files = {
                name: tmp_path / f"{name}-{at}" for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
            }
            for file in files.values():
                file.touch()
            (tmp_path / "script.sh").write_text(step["run"])
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", tmp_path / "script.sh"],
                cwd=work,
                capture_output=True,
                text=True,
                check=False,
                env={
                    **{name: str(filled(one, inputs)) for name, one in step["env"].items()},
                    **{name: str(file) for name, file in files.items()},
                    "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
                    "PYTHONPATH": os.pathsep.join(paths),
                    "GITHUB_ACTIONS": "true",
                    "CALLS": str(tmp_path / "calls"),
                    "PIP_CALL": str(tmp_path / "pip"),
                    "OMP_NUM_THREADS": "1",
                },
            )
            job.codes[step["name"]] = done.returncode
            job.outputs[step.get("id", step["name"])] = outputs_of(
                files["GITHUB_OUTPUT"].read_text(encoding="utf-8")
            )
            job.summary += files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
            job.log += done.stdout + done.stderr
        if (tmp_path / "calls").exists():
            lines = (tmp_path / "calls").read_text().splitlines()
            job.calls = [json.loads(line) for line in lines]
        if (tmp_path / "pip").exists():
            job.installed = (tmp_path / "pip").read_text().splitlines()
        return job

    return run


def test_a_report_within_its_bounds_becomes_summary_and_outputs(
    run_action: Callable[..., Job], report_folder: Path
) -> None:
    job = run_action(report=str(report_folder), extras="", gates="--max-size 95MB --max-drop 5%")

    assert job.codes == {"Hold the report to its bounds": 0}, job.log
    gate = job.outputs["gate"]
    assert (gate["ok"], gate["failed"]) == ("true", "0")
    assert gate["report"] == str(report_folder / "report.html")
    assert "✅ passed" in job.summary
    assert "# " in job.summary
    assert "::error" not in job.log
    suite = ET.fromstring(Path(gate["junit"]).read_text(encoding="utf-8").split("\n", 1)[1])[0]
    assert suite.attrib["failures"] == "0"
    for name in ("benchmark-smaller.json", "benchmark-bigger.json"):
        assert json.loads((report_folder / name).read_text(encoding="utf-8"))


def test_a_broken_bound_fails_the_job_with_an_annotation(
    run_action: Callable[..., Job], report_folder: Path
) -> None:
    job = run_action(report=str(report_folder), extras="", gates="--max-size\n30MB")

    assert job.codes == {"Hold the report to its bounds": 4}, job.log
    assert job.outputs["gate"]["ok"] == "false"
    (error, *_) = [line for line in job.log.splitlines() if line.startswith("::error")]
    assert error.startswith("::error title=bertcompress gate size::")
    assert "❌ failed" in job.summary
    junit = Path(job.outputs["gate"]["junit"]).read_text(encoding="utf-8")
    assert "<failure" in junit


def test_a_report_without_bounds_is_shown(
    run_action: Callable[..., Job], report_folder: Path
) -> None:
    job = run_action(report=str(report_folder), extras="")

    assert job.codes == {"Hold the report to its bounds": 0}, job.log
    assert job.outputs["gate"] == {"report": f"{report_folder}/report.html"}
    assert "| variant |" in job.summary


def test_models_are_installed_for_measured_and_compared(
    run_action: Callable[..., Job], report_folder: Path
) -> None:
    job = run_action(
        models="build/a model\nbuild/$(touch hacked)\n",
        report=str(report_folder),
        data="my data.csv",
        base="old",
        head="new one",
        bench_options="--quick --threads 2",
        compare_options="--max-slowdown 5%",
        gates="--max-size 1MB",
    )

    assert job.installed[:3] == ["-m", "pip", "install"]
    assert job.installed[-1] == f"{ROOT}[cpu,data]"
    bench, gate, compare = job.calls
    assert bench[:3] == ["bench", "build/a model", "build/$(touch hacked)"]
    assert bench[3:] == [
        *("--data", "my data.csv", "-o", str(report_folder), "--quick", "--threads", "2")
    ]
    assert gate[0] == "gate"
    assert compare == [
        *("compare", "old", "new one", "--data", "my data.csv"),
        *("-o", "bertcompress-comparison", "--max-slowdown", "5%"),
    ]
    # The bound failed, and head was compared with base all the same.
    assert job.codes["Hold the report to its bounds"] == 4
    assert job.codes["Compare head with base"] == 0


def test_nothing_asked_runs_nothing(run_action: Callable[..., Job]) -> None:
    assert run_action(extras="").codes == {}


def test_no_script_holds_an_expression() -> None:
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]

    assert len(scripts) == 4
    assert not any("${{" in script for script in scripts)


def test_outputs_come_from_steps_that_exist() -> None:
    ids = {step["id"] for step in ACTION["runs"]["steps"] if "id" in step}
    named = re.findall(r"steps\.(\w+)\.outputs", json.dumps(ACTION["outputs"]))

    assert set(named) == ids


def test_the_example_workflow_uses_inputs_that_exist() -> None:
    text = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    steps = yaml.safe_load(example)["jobs"]["compare"]["steps"]
    (ours,) = [step for step in steps if step.get("uses", "").startswith("bertcompress/")]

    assert set(ours["with"]) <= set(ACTION["inputs"])
