"""What opens a peer is kept in its folder, and read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertcompress.bench.peer_folder import PEER_NAME, Opening


@pytest.mark.parametrize(
    "opening",
    [
        Opening("onnxruntime"),
        Opening("torch", dtype="bfloat16", compiled=True),
        Opening("ctranslate2", architecture="BertModel"),
    ],
)
def test_it_reads_back(opening: Opening, tmp_path: Path) -> None:
    opening.write(tmp_path)

    assert Opening.read(tmp_path) == opening


def test_what_is_left_out_is_a_plain_float_model(tmp_path: Path) -> None:
    (tmp_path / PEER_NAME).write_text(json.dumps({"library": "openvino"}))

    assert Opening.read(tmp_path) == Opening("openvino", "float32", False, "")
