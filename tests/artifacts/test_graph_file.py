"""Where a graph lies, its external data, and what no weight may be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from bertcompress.artifacts import graph_file
from bertcompress.artifacts.graph_file import (
    check_graph,
    graph_files,
    graph_path,
    read_graph,
    write_graph,
)
from bertcompress.errors import LoadError

SIZE = 512


def _graph(weight: NDArray[np.generic]) -> onnx.ModelProto:
    kind = helper.np_dtype_to_tensor_dtype(weight.dtype)
    values = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"], "add")],
        "graph",
        [values("x", kind, None)],
        [values("y", kind, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def test_the_usual_names_go_first_and_a_single_graph_is_taken(tmp_path: Path) -> None:
    assert graph_path(tmp_path) is None
    (tmp_path / "other.onnx").touch()
    assert graph_path(tmp_path) == tmp_path / "other.onnx"
    (tmp_path / "model.onnx").touch()
    assert graph_path(tmp_path) == tmp_path / "model.onnx"
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx/model.onnx").touch()
    assert graph_path(tmp_path) == tmp_path / "onnx/model.onnx"


def test_several_graphs_are_named(tmp_path: Path) -> None:
    for name in ("b.onnx", "a.onnx"):
        (tmp_path / name).touch()

    with pytest.raises(LoadError, match=r"2 graphs, a\.onnx, b\.onnx, and none is called model"):
        graph_path(tmp_path)


def test_a_graph_above_the_limit_has_its_weights_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_file, "LARGEST_FILE", 1000)
    weight = np.arange(SIZE, dtype=np.float32)
    graph, path = _graph(weight), tmp_path / "onnx/model.onnx"

    write_graph(graph, path)

    assert graph_files(path) == (path, path.with_name(graph_file.DATA_NAME))
    assert path.stat().st_size < 1000
    np.testing.assert_array_equal(
        numpy_helper.to_array(read_graph(path).graph.initializer[0]), weight
    )
    assert not graph.graph.initializer[0].external_data  # what was given is as it was


def test_a_graph_below_the_limit_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_graph(_graph(np.ones(SIZE, np.float32)), path)

    assert [*tmp_path.iterdir()] == [path]
    assert graph_files(path) == (path,)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("apart", [True, False])
def test_a_weight_that_is_no_number_is_named(
    dtype: type, value: float, apart: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if apart:
        monkeypatch.setattr(graph_file, "LARGEST_FILE", 100)
    weight = np.linspace(0, 1, SIZE).astype(dtype)
    weight[7] = value
    write_graph(_graph(weight), tmp_path / "model.onnx")

    for read in (read_graph, check_graph):
        with pytest.raises(LoadError, match="holds NaN or infinity in the weight w"):
            read(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "mask",
    [
        np.float32(-np.inf),
        np.array([[0, -np.inf], [0, 0]], np.float32),
        np.full((4, 4), np.finfo(np.float32).min, np.float32),
        np.full(3, -np.inf, np.float16),
    ],
)
def test_masks_that_exporters_write_are_read(mask: NDArray[np.generic], tmp_path: Path) -> None:
    write_graph(_graph(np.asarray(mask)), tmp_path / "model.onnx")

    check_graph(tmp_path / "model.onnx")
    assert read_graph(tmp_path / "model.onnx").graph.node


def test_a_constant_node_is_looked_at_too(tmp_path: Path) -> None:
    graph = _graph(np.ones(SIZE, np.float32))
    value = numpy_helper.from_array(np.array([1, 2, np.nan], np.float32), "inside")
    graph.graph.node.append(helper.make_node("Constant", [], ["c"], "c", value=value))
    write_graph(graph, tmp_path / "model.onnx")

    with pytest.raises(LoadError, match="infinity in the weight inside"):
        read_graph(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"{no graph", "is not an ONNX model, or is cut off"), (b"", "is an empty graph")],
)
def test_what_is_no_graph_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    with pytest.raises(LoadError, match=says):
        read_graph(path)
    assert graph_files(path) == (path,)
