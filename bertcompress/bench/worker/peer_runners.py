"""Opens peers: one small runtime for each library, at the settings that a careful user would take.

All answer with the outputs that `bertcompress.tasks` knows, float32. Threads are set everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.model_config import INPUT_NAMES
from bertcompress.bench.peer_folder import FILES, HEAD_NAME, ONNX_NAME, OPENVINO_NAME, Opening
from bertcompress.errors import RunError
from bertcompress.runtimes.base import Arrays, CheckedRuntime, Runtime, token_inputs
from bertcompress.runtimes.openvino.runtime import OpenVinoRuntime
from bertcompress.runtimes.ort.runtime import OrtRuntime
from bertcompress.runtimes.torch.runtime import TorchRuntime
from bertcompress.runtimes.torch.settings import TorchSettings

_INSIDE = {
    "BertForSequenceClassification": ("pooler_output", ("logits",)),
    "BertForTokenClassification": ("last_hidden_state", ("logits",)),
    "BertForQuestionAnswering": ("last_hidden_state", ("start_logits", "end_logits")),
    "BertModel": ("last_hidden_state", ("last_hidden_state",)),
}
"""For each class the encoder's output that its head takes, and the outputs of that head."""


def open_peer(folder: Path, *, threads: int) -> Runtime:
    """Returns a peer's runtime, not entered yet.

    Raises:
        RunError: If no runner knows the peer.
    """
    opening = Opening.read(folder)
    if opening.library == "torch":
        settings = TorchSettings(dtype=opening.dtype, compiled=opening.compiled)
        return TorchRuntime(folder / FILES, threads=threads, settings=settings)
    if opening.library == "onnxruntime":
        return OrtRuntime(folder / ONNX_NAME, threads=threads)
    if opening.library == "openvino":
        return OpenVinoRuntime(folder / OPENVINO_NAME, threads=threads)
    if opening.library == "ctranslate2":
        return CTranslate2Peer(folder, opening, threads=threads)
    raise RunError(f"{folder} names the library {opening.library!r}, which no runner knows")


class CTranslate2Peer(CheckedRuntime):
    """CTranslate2 with INT8 products; it drops padding by itself.

    Args:
        folder: The peer's folder.
        opening: Says which head there is.
        threads: Of the one replica.
    """

    name = "ctranslate2"
    library, runs = "CTranslate2", "the model"
    casts_integers = one_shape = True

    def __init__(self, folder: Path, opening: Opening, *, threads: int) -> None:
        if opening.architecture not in _INSIDE:
            raise RunError(f"it has no head for {opening.architecture}")
        super().__init__()
        self.needs_padding = False
        self._folder = folder
        self._threads = threads
        self._taken, self._answers = _INSIDE[opening.architecture]
        self._head: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        self._encoder: Any = None

    def __enter__(self) -> Self:
        import ctranslate2

        self._encoder = ctranslate2.Encoder(
            str(self._folder / FILES),
            device="cpu",
            compute_type="int8",
            intra_threads=self._threads,
            inter_threads=1,
        )
        if (self._folder / HEAD_NAME).is_file():
            with np.load(self._folder / HEAD_NAME, allow_pickle=False) as file:
                self._head = file["weight"].T.copy(), file["bias"]
        self._open_for(token_inputs(INPUT_NAMES), self._answers)
        return self

    def __exit__(self, *raised: object) -> None:
        self._close()
        self._encoder = None

    def _run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        lengths = np.asarray(feed["attention_mask"]).sum(axis=1)
        rows, types = (
            [row[:length].tolist() for row, length in zip(feed[name], lengths, strict=True)]
            for name in ("input_ids", "token_type_ids")
        )
        answer = self._encoder.forward_batch(rows, token_type_ids=types)
        encoded = np.array(getattr(answer, self._taken))
        if self._head is None:
            return {self.outputs[0]: encoded}
        logits = encoded @ self._head[0] + self._head[1]
        if len(self.outputs) == 1:
            return {self.outputs[0]: logits}
        return {name: logits[..., k].copy() for k, name in enumerate(self.outputs)}
