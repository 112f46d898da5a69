"""The same graph, tokenizer and threads for the servers that bring none of their own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

BATCH_SIZE, WORKERS = 8, 2


class Session:
    """One ONNX Runtime session of one thread."""

    def __init__(self) -> None:
        folder = Path(os.environ["ARTIFACT"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            folder / "onnx" / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        self._names = [one.name for one in self._session.get_inputs()]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(128)
        self._tokenizer.enable_padding()
        labels = json.loads((folder / "config.json").read_text())["id2label"]
        self._labels = [labels[str(number)] for number in range(len(labels))]

    def answer(self, texts: list[str]) -> list[dict[str, object]]:
        """Answers texts as one batch."""
        found = self._tokenizer.encode_batch(texts)
        feed = {
            "input_ids": [one.ids for one in found],
            "attention_mask": [one.attention_mask for one in found],
            "token_type_ids": [one.type_ids for one in found],
        }
        arrays = {name: np.array(feed[name], np.int64) for name in self._names}
        [logits] = self._session.run(None, arrays)
        shifted = np.exp(logits - logits.max(-1, keepdims=True))
        scores = shifted / shifted.sum(-1, keepdims=True)
        best = scores.argmax(-1)
        return [
            {"label": self._labels[at], "score": float(row[at])}
            for at, row in zip(best, scores, strict=True)
        ]
