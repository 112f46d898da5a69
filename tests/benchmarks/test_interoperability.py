"""The folder in other tools: the script of the documentation, and how the matrix judges."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import interoperability
import interoperability_report
from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from reload_report import Found, left_out

ROOT = Path(__file__).resolve().parents[2]
TEXTS: list[str | list[str]] = ["the film is good", "a bad film", "anna"]


@pytest.fixture
def prepared(tiny_graph: Callable[..., OnnxModel], tmp_path: Path) -> interoperability.Prepared:
    folder = save(QuantizeDynamic()(tiny_graph()), tmp_path / "int8")
    (tmp_path / "texts.json").write_text(json.dumps(TEXTS), encoding="utf-8")
    return interoperability.answered("text-classification", "INT8", folder, TEXTS, tmp_path)


def test_the_script_of_the_documentation_answers_as_we_do(
    prepared: interoperability.Prepared, tmp_path: Path
) -> None:
    found = interoperability.attempt(prepared, "script", tmp_path, None, None)

    assert found.passed, found.error
    assert found.largest_difference is not None
    assert found.largest_difference < 1e-6


def test_the_script_takes_several_texts(prepared: interoperability.Prepared) -> None:
    script = ROOT / "docs" / "onnxruntime_alone.py"
    done = subprocess.run(
        [sys.executable, "-I", str(script), str(prepared.folder), *map(str, TEXTS)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )

    assert done.returncode == 0, done.stderr
    rows = done.stdout.replace("[", " ").replace("]", " ").split()
    assert np.asarray(rows, np.float32).shape == (2 * len(TEXTS),)


def test_what_differs_fails_and_what_is_missing_is_left_out(
    prepared: interoperability.Prepared, tmp_path: Path
) -> None:
    expected = np.concatenate(prepared.answers)

    assert interoperability.judged(prepared, "optimum", expected, expected + 5e-5).passed
    assert not interoperability.judged(prepared, "optimum", expected, expected + 5e-3).passed
    assert not interoperability.judged(prepared, "optimum", expected, expected[:-1]).passed
    assert interoperability.judged(prepared, "openvino", expected, expected * 1.5).passed
    assert not interoperability.judged(prepared, "openvino", expected, -expected).passed
    for route, option in (("optimum", "--optimum"), ("node", "--node")):
        absent = interoperability.attempt(prepared, route, tmp_path, None, None)
        assert absent.left_out == f"needs {option}"


def test_the_report_has_a_table_a_task(tmp_path: Path) -> None:
    found = [
        Found("text-classification", "FP32", "optimum", 0.0, 1e-4),
        Found("text-classification", "FP32", "node", 1e-2, 1e-4),
        left_out("question-answering", "INT8", "optimum", "needs --optimum"),
    ]

    interoperability_report.write(tmp_path / "out", found, {"main": {"torch": "1"}}, texts=3)

    text = (tmp_path / "out.md").read_text(encoding="utf-8")
    assert "| FP32 | 0 | **1.0e-02** |" in text
    assert "left out: needs --optimum" in text
    plain = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [one["passed"] for one in plain["found"]] == [True, False, True]


def test_the_committed_matrix_passed() -> None:
    path = ROOT / "benchmarks" / "reports" / "interoperability.json"
    found = json.loads(path.read_text(encoding="utf-8"))["found"]

    assert found
    assert [one for one in found if not one["passed"]] == []
    assert [one for one in found if one["left_out"]] == []
