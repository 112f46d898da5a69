"""A batch in an execution context: what does not fit, and what TensorRT refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from bertcompress.artifacts.manifest import plan_path
from bertcompress.errors import (
    RunError,
)
from bertcompress.runtimes.tensorrt.runtime import TensorRtRuntime
from fixtures.feeds import feed_of

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)


Fake = Callable[..., Any]
Made = Callable[..., tuple[Path, Any]]


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        (feed_of(1, 17), r"texts of up to 16 tokens, and one has 17; .* --lengths …,17"),
        ({"input_ids": np.ones((1, 3), dtype=np.int64)}, "the engine takes input_ids, "),
        ({}, "was given the inputs none"),
        ({**feed_of(1, 3), "input_ids": np.ones((1, 4), dtype=np.int64)}, "must all be"),
        ({name: np.ones(3, dtype=np.int64) for name in feed_of(1, 3)}, "must all be"),
        ({**feed_of(1, 3), "input_ids": np.ones((1, 3))}, "input_ids must be integers"),
    ],
)
def test_inputs_that_do_not_fit(feed: dict[str, np.ndarray], message: str, engine: Made) -> None:
    folder, _ = engine()
    with TensorRtRuntime(folder) as runtime, pytest.raises(RunError, match=message):
        runtime.run(feed)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ("set_input_shape", "TensorRT refused the shape"),
        ("execute_async_v3", "TensorRT refused the batch"),
        ("create_execution_context", "made no execution context"),
    ],
)
def test_what_tensorrt_refuses_is_said(refused: str, message: str, engine: Made) -> None:
    folder, trt = engine()
    trt.state.refused = (refused,)
    with pytest.raises(RunError, match=message), TensorRtRuntime(folder) as runtime:
        runtime.run(feed_of(1, 3))


def test_a_type_that_no_encoder_has(engine: Made, fake_tensorrt: Fake) -> None:
    folder, _ = engine()
    other = fake_tensorrt()
    plan = json.loads(plan_path(folder).read_bytes())
    deserialize = other.Runtime.deserialize_cuda_engine

    def altered(self: Any, content: bytes) -> Any:
        found = deserialize(self, content)
        found._plan["tensors"][-1][2] = "BF16"
        return found

    other.Runtime.deserialize_cuda_engine = altered
    assert plan["tensors"][-1][2] == "FLOAT"
    with pytest.raises(RunError, match="logits is of TensorRT's type BF16"):
        TensorRtRuntime(folder).__enter__()
