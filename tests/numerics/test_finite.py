"""Which tensor holds NaN or infinity, of every type and size."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

from bertcompress.numerics import finite


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_is_enough(dtype: type, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finite, "_PART", 4)
    values = np.zeros((3, 3), dtype)

    assert finite.all_finite(values)
    values[2, 2] = value
    assert not finite.all_finite(values)


def test_integers_and_nothing_are_finite() -> None:
    assert finite.all_finite(np.array([1, 2]))
    assert finite.all_finite(np.empty(0, np.float32))


def test_the_first_tensor_is_named() -> None:
    tensors = {"a": torch.ones(5), "ids": torch.arange(3), "b": torch.ones(2), "c": torch.ones(2)}
    assert finite.first_not_finite(tensors.items()) is None

    tensors["b"][1] = tensors["c"][0] = torch.nan
    assert finite.first_not_finite(tensors.items()) == "b"
    half = torch.tensor([7e4]).half()
    assert finite.first_not_finite([("half", half)]) == "half"
