"""What a safetensors header tells, and headers that can't be meant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bertcompress.artifacts.stored_tensors import StoredTensor, stored_tensors
from bertcompress.errors import LoadError


def test_names_types_shapes_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros((2, 3), np.float32), "b": np.zeros(0, np.int8)}, path, {"k": "v"})

    assert sorted(stored_tensors(path), key=lambda one: one.name) == [
        StoredTensor("a", "F32", (2, 3), 24),
        StoredTensor("b", "I8", (0,), 0),
    ]


@pytest.mark.parametrize(
    "header",
    [
        "[]",
        "[" * 10_000,
        '{"a": 1}',
        '{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        '{"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 4]}}',
        '{"a": {"dtype": "F32", "shape": 3, "data_offsets": [0, 4]}}',
        '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}',
        json.dumps({"a": {"dtype": "F32"}}),
    ],
)
def test_headers_that_cannot_be_meant(tmp_path: Path, header: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())

    with pytest.raises(LoadError, match=r"model\.safetensors is damaged"):
        [*stored_tensors(path)]


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x10\0\0\0\0\0\0\0{"])
def test_files_that_are_cut_off(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)

    with pytest.raises(LoadError, match="is damaged"):
        [*stored_tensors(tmp_path / "model.safetensors")]
