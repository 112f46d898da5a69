"""What manifests say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import transformers
from onnx import TensorProto, helper, numpy_helper

from bertcompress.artifacts.artifact import MANIFEST_NAME, OnnxModel, save
from bertcompress.artifacts.artifact_files import manifest_of, model_files
from bertcompress.errors import LoadError
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.report.lineage import history_of, kernels_of, parameters_of, size_of

STEP = {
    "name": "PruneHeads",
    "settings": {"fraction": 0.3, "seed": None},
    "seconds": 4.2,
    "parameters_before": 1000,
    "parameters_after": 800,
    "bytes_before": 4000,
    "bytes_after": 3200,
    "details": {
        "layers": [
            {"layer": 0, "heads_before": 12, "heads_after": 8},
            {"layer": 1, "heads_before": 12, "heads_after": 9},
        ],
        "kernels": {"QLinearMatMul": 36, "MatMul": 0},
        "ranges": {"query": {"low": -1.0, "high": 2.0}},
        "notes": ["kept one head in layer 3"],
        "rounding": "down",
        "widths": [64, 128],
        "nothing": None,
        "explain": {"cost_unit": "drawn by its own section"},
    },
    "versions": {},
}


def artifact(folder: Path) -> Path:
    (folder / "onnx").mkdir(parents=True)
    weights = numpy_helper.from_array(np.zeros((50, 100), np.float32), "weights")
    product = helper.make_node("MatMul", ["x", "weights"], ["y"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    graph = helper.make_graph([product], "g", ends[:1], ends[1:], [weights])
    onnx.save_model(
        helper.make_model(graph),
        folder / "onnx" / "model.onnx",
        save_as_external_data=True,
        location="model.onnx.data",
    )
    (folder / "vocab.txt").write_text("[PAD]", encoding="utf-8")
    manifest = {"format": 1, "kind": "onnx", "task": "text-classification", "history": [STEP]}
    text = json.dumps({**manifest, "files": {}})
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
    return folder


def test_details_of_any_pass_become_tables_and_notes(tmp_path: Path) -> None:
    folder = artifact(tmp_path / "a")
    (line,) = history_of(folder, manifest_of(folder))

    tables = {table.title: table for table in line.tables}
    assert line.settings == "fraction 0.3"
    assert tables["layers"].columns == ("layer", "heads before", "heads after")
    assert tables["layers"].rows == ((0, 12, 8), (1, 12, 9))
    assert tables["kernels"].rows == (("QLinearMatMul", 36), ("MatMul", 0))
    assert line.kernels == {"QLinearMatMul": 36, "MatMul": 0}
    assert tables["ranges"].rows == (("query", -1.0, 2.0),)
    assert line.notes == ("kept one head in layer 3", "rounding: down", "64", "128")


def test_the_size_is_that_of_the_files_a_runtime_loads(tmp_path: Path) -> None:
    folder = artifact(tmp_path / "a")

    size = size_of(folder, manifest_of(folder), compressed=True)

    assert size.file_bytes == sum(file.stat().st_size for file in (folder / "onnx").iterdir())
    assert size.file_bytes > 20_000  # with the weights beside the graph
    assert size.folder_bytes > size.file_bytes
    assert size.compressed_bytes is not None
    assert size.compressed_bytes < 1000
    assert size.parameters == 800


def test_a_plain_folder_has_weights_and_no_history(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 10)

    assert history_of(tmp_path, manifest_of(tmp_path)) == ()
    assert [file.name for file in model_files(tmp_path)] == ["model.safetensors"]
    assert size_of(tmp_path, None, compressed=False).compressed_bytes is None


@pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)
def test_an_engine_is_its_plan_and_tells_its_layers(
    tiny_graph: Callable[..., OnnxModel], fake_tensorrt: Callable[..., Any], tmp_path: Path
) -> None:
    fake_tensorrt()
    engine = BuildEngine(goal="throughput", lengths=(8,), batches=(2,))(tiny_graph())
    folder = save(engine, tmp_path / "engine")

    line = history_of(folder, manifest_of(folder))[-1]

    (table,) = (one for one in line.tables if one.title == "the engine's layers")
    assert table.columns == ("name", "type", "precision", "output")
    assert len(table.rows) == len(engine.record.layers) > 10
    assert [file.name for file in model_files(folder)] == ["model.plan"]
    assert size_of(folder, manifest_of(folder), compressed=False).file_bytes == len(engine.plan)


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="holds no model"):
        size_of(tmp_path, None, compressed=False)


def test_the_number_of_weights_outlives_steps_that_do_not_know_it(tmp_path: Path) -> None:
    folder = artifact(tmp_path / "a")
    manifest = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    unknown = {**STEP, "parameters_before": None, "parameters_after": None, "details": {}}
    exported = {**unknown, "parameters_before": 700}
    manifest["history"] = [STEP, exported, unknown]
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest), encoding="utf-8")

    assert parameters_of(folder, manifest_of(folder)) == 700
    assert kernels_of(manifest_of(folder)) == {"QLinearMatMul": 36, "MatMul": 0}


def test_a_plain_folders_weights_are_counted_by_their_header(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "weight": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]},
        "bias": {"dtype": "BF16", "shape": [3], "data_offsets": [48, 54]},
        "position_ids": {"dtype": "I64", "shape": [1, 512], "data_offsets": [54, 4150]},
    }
    text = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)

    assert parameters_of(tmp_path, None) == 15
    assert kernels_of(None) == {}

    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{{{{")
    assert parameters_of(tmp_path, None) is None
