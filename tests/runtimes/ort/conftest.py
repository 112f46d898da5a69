"""Sessions of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable

import onnxruntime
import pytest

from bertcompress.artifacts.artifact import OnnxModel


@pytest.fixture
def session_of() -> Callable[..., onnxruntime.InferenceSession]:
    """Gives ``session_of(model, **entries)``: one thread on the CPU, with configuration entries."""

    def make(model: OnnxModel, **entries: str) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        for name, value in entries.items():
            options.add_session_config_entry(name, value)
        content = model.graph.SerializeToString()
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    return make
