"""A peer's folder: where its files lie, and what opens them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

PEER_NAME = "peer.json"
FILES = "peer"
"""The subfolder with the files that the peer loads: its size is theirs."""
ONNX_NAME = f"{FILES}/model.onnx"
OPENVINO_NAME = f"{FILES}/model.xml"
HEAD_NAME = f"{FILES}/head.npz"


@dataclass(frozen=True)
class Opening:
    """What opens a peer.

    Attributes:
        library: ``torch``, ``onnxruntime``, ``openvino`` or ``ctranslate2``.
        dtype: Torch's type of all weights.
        compiled: Whether ``torch.compile`` is used.
        architecture: The model's class, where the runner computes its head.
    """

    library: str
    dtype: str = "float32"
    compiled: bool = False
    architecture: str = ""

    def write(self, folder: Path) -> None:
        """Writes it into the peer's folder."""
        text = json.dumps(asdict(self)) + "\n"
        (folder / PEER_NAME).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Opening:
        """Reads it back."""
        return cls(**json.loads((folder / PEER_NAME).read_text(encoding="utf-8")))
