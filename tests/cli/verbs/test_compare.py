"""``bertcompress compare`` on tiny graphs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bertcompress.artifacts.artifact import OnnxModel, save

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def graphs(tiny_graph: Callable[..., OnnxModel], here: Path) -> tuple[Path, Path]:
    """Gives a graph and the same graph with its answers turned around."""
    import onnx

    right = tiny_graph()
    turned = onnx.ModelProto()
    turned.CopyFrom(right.graph)
    for node in turned.graph.node:
        node.output[:] = ["raw" if name == "logits" else name for name in node.output]
    turned.graph.node.append(onnx.helper.make_node("Neg", ["raw"], ["logits"]))
    save(right, here / "right")
    save(replace(right, graph=turned), here / "wrong")
    return here / "right", here / "wrong"


@pytest.fixture
def answers(graphs: tuple[Path, Path], data: Path, ok: Callable[..., str], here: Path) -> Path:
    """Gives sentences labelled with what the first graph says, so that it is always right."""
    lines = (data / "test.csv").read_text(encoding="utf-8").splitlines()[1:]
    texts = [line.rpartition(",")[0] for line in lines]
    said = ok("predict", graphs[0], *texts).splitlines()
    labels = [json.loads(line)["label"] for line in said]
    rows = [f"{text},{label}" for text, label in zip(texts, labels, strict=True)]
    (here / "gold.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    return here / "gold.csv"


def test_a_build_against_itself_passes_what_can_be_counted(
    ok: Callable[..., str], graphs: tuple[Path, Path], answers: Path, here: Path
) -> None:
    said = ok("compare", graphs[0], graphs[0], "--data", answers, "--no-speed", "-o", here / "out")

    assert said == "head is not worse than base"
    assert {path.name for path in (here / "out").iterdir()} == {
        *("compare.json", "compare.md", "junit.xml"),
        *("benchmark-smaller.json", "benchmark-bigger.json"),
    }


def test_answers_that_got_worse_end_with_3_and_tell_actions(
    bc: Run, graphs: tuple[Path, Path], answers: Path, actions: Path
) -> None:
    outcome = bc("compare", *graphs, "--data", answers, "--no-speed", "--max-growth", "50%")

    assert outcome.returncode == 3
    assert outcome.stdout.strip().startswith("head is worse: drop")
    assert "error: head: accuracy changed by −100.00 points" in outcome.stderr
    assert "::error title=bertcompress gate drop::" in outcome.stderr
    assert "ok=false\n" in (actions / "GITHUB_OUTPUT").read_text(encoding="utf-8")
    assert "❌ failed" in (actions / "GITHUB_STEP_SUMMARY").read_text(encoding="utf-8")


def test_speed_is_measured_and_decides_the_exit_code(
    bc: Run, graphs: tuple[Path, Path], answers: Path, here: Path
) -> None:
    outcome = bc(
        *("compare", graphs[0], graphs[0], "--data", answers, "--max-memory-growth", "50%"),
        *("--max-rounds", "1", "--requests", "4", "--threads", "1", "-o", here / "out", "--json"),
    )

    facts = json.loads(outcome.stdout)
    states = {gate["gate"]: gate["state"] for gate in facts["gates"]}
    assert facts["slowdown"]["rounds"] == 1
    assert outcome.returncode == (4 if states["slowdown"] == "failed" else 0)
    assert len(json.loads((here / "out/compare.json").read_text())["rounds"]) == 1
    assert not (here / "out/.state").exists()


def test_what_can_not_be_compared_is_one_sentence(
    fails: Callable[..., str], graphs: tuple[Path, Path], answers: Path
) -> None:
    right, _ = graphs

    assert "nowhere" in fails(1, "compare", right, "nowhere", "--data", answers)
    assert "compare needs data" in fails(2, "compare", right, right)
    typed = ("compare", right, right, "--data", answers)
    assert "did you mean 0.03?" in fails(2, *typed, "--max-slowdown", "3")
    assert "max-rounds must be at least 1" in fails(2, *typed, "--max-rounds", "0")
