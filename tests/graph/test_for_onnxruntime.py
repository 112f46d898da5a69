"""The graph that quantizing starts from: fewer operations, the same answers."""

from __future__ import annotations

import numpy as np
import onnx

from bertcompress.graph.for_onnxruntime import shaped_for_onnxruntime
from bertcompress.runtimes.ort.runtime import run_graph


def feeds() -> list[dict[str, np.ndarray]]:
    generator = np.random.default_rng(0)
    made = []
    for batch, length in ((1, 1), (1, 7), (3, 12)):
        mask = np.ones((batch, length), dtype=np.int64)
        mask[0, max(1, length - 3) :] = 0
        ids = generator.integers(5, 80, (batch, length))
        made.append({"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0})
    return made


def test_the_answers_stay(cut_graph: onnx.ModelProto) -> None:
    shaped = shaped_for_onnxruntime(cut_graph)
    onnx.checker.check_model(shaped)
    for one, other in zip(run_graph(cut_graph, feeds()), run_graph(shaped, feeds()), strict=True):
        np.testing.assert_allclose(other["logits"], one["logits"], atol=1e-5)
