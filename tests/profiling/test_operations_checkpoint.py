"""Operations of checkpoints, from headers alone, against figures that were published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bertcompress.errors import LoadError
from bertcompress.profiling.count_operations import operations_of


def write_header(folder: Path, shapes: dict[str, list[int]]) -> None:
    """Writes a checkpoint of which only the headers are there: what the counting reads."""
    place, header = 0, {}
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [place, place + size]}
        place += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    config = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
    (folder / "config.json").write_text(json.dumps(config))


def encoder(layers: int, hidden: int, neurons: int) -> dict[str, list[int]]:
    shapes = {
        "bert.embeddings.word_embeddings.weight": [30522, hidden],
        "bert.pooler.dense.weight": [hidden, hidden],
        "classifier.weight": [2, hidden],
        "cls.predictions.transform.dense.weight": [hidden, hidden],
    }
    for k in range(layers):
        layer = f"bert.encoder.layer.{k}."
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            shapes[f"{layer}attention.{name}.weight"] = [hidden, hidden]
        shapes[f"{layer}intermediate.dense.weight"] = [neurons, hidden]
        shapes[f"{layer}output.dense.weight"] = [hidden, neurons]
    return shapes


@pytest.mark.parametrize(
    ("shape", "gigaflop"),
    [((6, 384, 1536), 2.87), ((12, 768, 3072), 22.35), ((24, 1024, 4096), 78.9)],
)
def test_published_models_cost_the_published_figures(
    shape: tuple[int, int, int], gigaflop: float, tmp_path: Path
) -> None:
    write_header(tmp_path, encoder(*shape))

    found = operations_of(tmp_path)

    assert found is not None
    work = found.work(sentences=1, length=128)
    assert work.operations / 1e9 == pytest.approx(gigaflop, abs=0.06)
    assert found.work(sentences=3, length=128).operations == 3 * work.operations


@pytest.mark.shared
def test_the_real_minilm_costs_it_too(shared: Path) -> None:
    found = operations_of(shared / "models" / "minilm-sst2")

    assert found is not None
    assert found.work(sentences=1, length=128).operations / 1e9 == pytest.approx(2.87, abs=0.005)


def test_damaged_files_are_errors(tmp_path: Path) -> None:
    write_header(tmp_path, encoder(1, 8, 8))
    (tmp_path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")

    with pytest.raises(LoadError, match=r"model\.safetensors is damaged"):
        operations_of(tmp_path)
    graph = tmp_path / "graph" / "onnx" / "model.onnx"
    graph.parent.mkdir(parents=True)
    graph.write_bytes(b"no graph")
    with pytest.raises(LoadError, match=r"model\.onnx is not an ONNX model, or is cut off"):
        operations_of(tmp_path / "graph")


@pytest.mark.parametrize("shape", [[], [0, 8], [0]])
def test_tables_and_weights_of_no_size_are_passed_over(tmp_path: Path, shape: list[int]) -> None:
    tensors = encoder(1, 8, 8)
    for name in tensors:
        if name.endswith(("word_embeddings.weight", "key.weight")):
            tensors[name] = shape
    write_header(tmp_path, tensors)

    assert operations_of(tmp_path) is not None
