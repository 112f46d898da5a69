"""Activations, against torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bertcompress.errors import LoadError
from bertcompress.tasks.activations import ACTIVATIONS, activation_named

VALUES = np.concatenate([np.linspace(-30.0, 30.0, 121), [-1000.0, 1000.0]])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_is_torchs(name: str) -> None:
    wanted = getattr(torch.nn, name)()(torch.from_numpy(VALUES)).numpy()

    assert ACTIVATIONS[name](VALUES) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("path", ["torch.nn.Tanh", "torch.nn.modules.activation.Tanh"])
def test_classes_are_named_by_either_path(path: str) -> None:
    assert activation_named(path, "config.json") == "Tanh"


@pytest.mark.parametrize("path", ["torch.nn.PReLU", "my.code.Tanh", "Tanh", "torch.tanh"])
def test_others_are_refused_by_name(path: str) -> None:
    with pytest.raises(LoadError, match=rf"2_Dense/config.json names the activation '{path}'"):
        activation_named(path, "2_Dense/config.json")
