"""``bertcompress parity`` on the tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.graph.edit import copy_of, initializer_values, set_initializer
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic

Ok = Callable[..., str]
Fails = Callable[..., str]
ORT = ("--runtime", "ort-cpu")


@pytest.fixture
def graph(tiny_graph: Callable[..., OnnxModel], tmp_path: Path) -> Path:
    """The tiny model's INT8 graph, saved."""
    return save(QuantizeDynamic()(tiny_graph()), tmp_path / "int8")


def test_texts_with_labels_are_judged_by_the_metric(
    model: Path, graph: Path, data: Path, ok: Ok, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    typed = (model, graph, *ORT, "--data", data, "--bound", "min-agreement=0.5")

    facts = json.loads(ok("parity", *typed, "--bound", "max-drop=1", "-o", out, "--json"))

    (step,) = facts["steps"]
    assert (facts["metric"], facts["count"], step["runtime"]) == ("accuracy", 12, "ort-cpu")
    assert step["drop"] == pytest.approx(facts["value"] - step["value"])
    assert step["bounds"]["min_agreement"] == 0.5
    assert json.loads((out / "parity.json").read_text(encoding="utf-8")) == facts
    assert "| accuracy |" in (out / "parity.md").read_text(encoding="utf-8")


def test_without_artifacts_the_model_is_exported_for_the_occasion(model: Path, ok: Ok) -> None:
    text = ok("parity", model, *ORT)

    assert "exported" in text
    assert (
        "1 of 1 steps are within their bounds; 33 texts, tokens drawn from the vocabulary" in text
    )


def test_a_step_outside_its_bounds_ends_with_3_and_names_the_layer(
    model: Path, tiny_graph: Callable[..., OnnxModel], fails: Fails, tmp_path: Path
) -> None:
    module = "bert.encoder.layer.0.attention.self.value"
    off = copy_of(tiny_graph().graph)
    values = initializer_values(off, f"{module}.weight_t")
    set_initializer(off, f"{module}.weight_t", np.ascontiguousarray(values[:, ::-1]))
    folder = save(replace(tiny_graph(), graph=off), tmp_path / "off")

    sentence = fails(3, "parity", model, folder, *ORT)

    assert "largest difference" in sentence
    assert f"the first to diverge is {module} (SQNR" in sentence


def test_in_a_workspace_the_checkpoint_is_compared_with_what_came_after_it(
    workspace: Path, ok: Ok
) -> None:
    ok("prune", "--heads", "0.25", "--score", "magnitude")
    ok("export")
    ok("quantize", "--method", "dynamic")

    wide = ("--bound", "min-agreement=off", "--bound", "max-drop=off")
    facts = json.loads(ok("parity", *ORT, *wide, "--json"))

    assert Path(facts["reference"]).name == "001-prune"
    assert [Path(one["artifact"]).name for one in facts["steps"]] == ["002-export", "003-quantize"]
    assert facts["texts"].endswith("test")


def test_what_can_t_be_meant_is_refused(model: Path, graph: Path, here: Path, fails: Fails) -> None:
    assert "parity needs a model" in fails(2, "parity")
    assert "a bound is" in fails(2, "parity", model, graph, "--bound", "nonsense")
    assert "there is no runtime 'ort'" in fails(2, "parity", model, graph, "--runtime", "ort")
