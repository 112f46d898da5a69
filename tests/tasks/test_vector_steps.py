"""Dense, LayerNorm and Normalize, against torch's own; the border tests compare whole folders."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from bertcompress.errors import LoadError, RunError
from bertcompress.tasks.vector_steps import Dense, LayerNorm, Normalize, read_dense, read_layer_norm

VECTOR = np.asarray([0.5, -2.0, 1.0])
WEIGHTS = {
    "linear.weight": np.ones((2, 3), np.float32),
    "linear.bias": np.ones(2, np.float32),
}
CONFIG = {"in_features": 3, "out_features": 2}


def test_layer_norm_is_torchs() -> None:
    weight, bias = np.asarray([1.0, 2.0, 3.0]), np.asarray([0.5, 0.0, -0.5])
    wanted = torch.nn.functional.layer_norm(
        torch.from_numpy(VECTOR), (3,), torch.from_numpy(weight), torch.from_numpy(bias)
    )

    assert LayerNorm(weight, bias)(VECTOR) == pytest.approx(wanted.numpy())


def test_zero_has_no_direction() -> None:
    assert Normalize()(np.zeros(2)).tolist() == [0.0, 0.0]


def test_dense_reads_its_weights_and_the_usual_activation() -> None:
    dense = read_dense(CONFIG, {"2_Dense/model.safetensors": save(WEIGHTS)}, "2_Dense")

    assert dense(VECTOR) == pytest.approx(np.tanh([0.5, 0.5]))


def test_a_vector_of_another_size_is_refused() -> None:
    with pytest.raises(RunError, match="takes 3 numbers and the pooled vector has 2"):
        Dense(np.ones((2, 3)), None, "Tanh")(np.ones(2))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "neither model.safetensors nor pytorch_model.bin"),
        ({"d/model.safetensors": b"cut"}, "can't be read"),
        ({"d/model.safetensors": save({"w": np.ones(1)})}, r"holds w \[1\] and d/config.json asks"),
    ],
)
def test_damaged_weights_are_refused(content: dict[str, bytes], sentence: str) -> None:
    with pytest.raises(LoadError, match=sentence):
        read_dense(CONFIG, content, "d")
    with pytest.raises(LoadError, match=sentence):
        read_layer_norm({"dimension": 3}, content, "d")
