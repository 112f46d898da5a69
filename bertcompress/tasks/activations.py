"""Activation functions of torch.nn in NumPy, by the names that model folders call them.

A folder names the class, ``torch.nn.modules.activation.Tanh``, which is made without arguments.
Those of ``torch.nn`` that have neither weights nor a need for an axis are known here.

Source: the formulas of https://docs.pytorch.org/docs/stable/nn.html#non-linear-activations-weighted-sum-nonlinearity
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from bertcompress.errors import LoadError
from bertcompress.tasks.outputs import Floats, sigmoid

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _softplus(x: Floats) -> Floats:
    """log(1 + exp(x)), which torch takes as x above 20."""
    return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20))))


def _log_sigmoid(x: Floats) -> Floats:
    """min(x, 0) - log(1 + exp(-|x|))."""
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def _selu(x: Floats) -> Floats:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


ACTIVATIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "Identity": lambda x: x,
    "Tanh": lambda x: np.tanh(x),
    "Sigmoid": sigmoid,
    "ReLU": lambda x: np.maximum(x, 0),
    "ReLU6": lambda x: np.clip(x, 0, 6),
    "LeakyReLU": lambda x: np.where(x > 0, x, 0.01 * x),
    "GELU": lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))) if x.size else x,
    "SiLU": lambda x: x * sigmoid(x),
    "Mish": lambda x: x * np.tanh(_softplus(x)),
    "ELU": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "CELU": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "SELU": _selu,
    "Softplus": _softplus,
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "LogSigmoid": _log_sigmoid,
    "Hardtanh": lambda x: np.clip(x, -1, 1),
    "Hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "Hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "Tanhshrink": lambda x: x - np.tanh(x),
}
"""What each makes of float64 values of any shape."""


def activation_named(path: str, place: str) -> str:
    """Returns the key of `ACTIVATIONS` for a class by its path.

    Args:
        path: ``torch.nn.modules.activation.Tanh``, ``torch.nn.Tanh``, or so.
        place: The file that names it, for messages.

    Raises:
        LoadError: It is not one of them.
    """
    package, _, name = path.rpartition(".")
    inside = package == "torch.nn" or package.startswith("torch.nn.modules.")
    if inside and name in ACTIVATIONS:
        return name
    raise LoadError(
        f"{place} names the activation {path!r}, and only those of torch.nn without weights are "
        f"known: {', '.join(ACTIVATIONS)}; choose a model with one of these"
    )
