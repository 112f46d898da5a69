"""``bertcompress explain`` on the tiny model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic

Ok = Callable[..., str]
Fails = Callable[..., str]


@pytest.fixture
def folders(tiny_graph: Callable[..., OnnxModel], tmp_path: Path) -> Path:
    """A folder with the artifacts ``float`` and ``int8`` of one model."""
    graph = tiny_graph()
    save(graph, tmp_path / "float")
    save(QuantizeDynamic(keep_float=("classifier", "*.layer.0.output*"))(graph), tmp_path / "int8")
    return tmp_path


def test_the_float_graph_beside_it_is_found_and_every_product_is_told(
    folders: Path, ok: Ok
) -> None:
    facts = json.loads(ok("explain", folders / "int8", "--at-length", 12, "--threads", 1, "--json"))

    assert facts["against"] == "float"
    assert Counter(one["precision"] for one in facts["products"]) == {
        "uint8 x int8, dynamic": 12,
        "float32": 4,
    }
    reasons = {one["module"]: one["reason"] for one in facts["products"]}
    assert reasons["bert.encoder.layer.0.output.dense"] == "named in keep_float: *.layer.0.output*"
    assert reasons["classifier"] == "the task's last product"
    assert all(one["before_s"] > 0 < one["after_s"] for one in facts["products"])
    rows = [*facts["products"], *facts["others"]]
    covered = sum(one["after_s"] for one in rows) / facts["whole_s"]
    assert covered == pytest.approx(facts["covered"])
    assert 0 < facts["covered"] <= 1


def test_a_float_graph_alone_is_explained_on_a_data_set(folders: Path, data: Path, ok: Ok) -> None:
    text = ok("explain", folders / "float", "--data", data / "test.csv", "--threads", 1)

    assert "the graph was not quantized" in text
    assert "before µs" not in text
    assert "sentences of" in text
    assert "test.csv" in text


def test_a_named_float_graph_is_compared_with(folders: Path, data: Path, ok: Ok) -> None:
    typed = ("--against", folders / "float", "--threads", 1, "--data", data, "--at-length", 8)
    text = ok("explain", folders / "int8", *typed)

    assert "before µs" in text
    assert "at 8 tokens" in text
    assert "the whole run" in text


def test_what_can_not_be_explained_is_refused(folders: Path, model: Path, fails: Fails) -> None:
    assert "bertcompress export" in fails(1, "explain", model, "--threads", 1)
    assert "at-length must be from 1 to the model's 128" in fails(
        2, "explain", folders / "int8", "--at-length", 129
    )
    assert "there is no runtime 'ort'" in fails(2, "explain", folders / "int8", "--runtime", "ort")
    sentence = fails(2, "explain", folders / "int8", "--against", folders / "none")
    assert "there is no folder" in sentence
