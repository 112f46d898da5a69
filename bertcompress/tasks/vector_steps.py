"""What is done to a text's pooled vector, one step after the other.

    Dense        f(W x + b), and x or R x added to it where there is a residual
    LayerNorm    (x - mean x) / sqrt(var x + 1e-5) * weight + bias
    Normalize    x / max(|x|, 1e-12)

Source: Sentence Transformers 6.2, ``base/modules/dense.py``, ``base/modules/normalize.py``,
``sentence_transformer/modules/layer_norm.py``.

>>> Normalize()(np.array([3.0, 4.0])).tolist()
[0.6, 0.8]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bertcompress.artifacts.embedding_files import WEIGHTS_NAME
from bertcompress.errors import LoadError, RunError
from bertcompress.tasks.activations import ACTIVATIONS, activation_named
from bertcompress.tasks.outputs import Floats

_EPSILON = 1e-5
_SMALLEST = 1e-12


@dataclass(frozen=True, eq=False)
class Dense:
    """A linear layer with an activation.

    Attributes:
        weight: ``[out, in]``.
        bias: ``[out]``, or None.
        activation: A key of `bertcompress.tasks.activations.ACTIVATIONS`.
        residual: What takes the input to the output that it is added to, ``[out, in]``, or None.
    """

    weight: Floats
    bias: Floats | None
    activation: str
    residual: Floats | None = None

    def __call__(self, vector: Floats) -> Floats:
        """Returns the vector that follows, ``[out]``."""
        if vector.shape != self.weight.shape[1:]:
            raise RunError(
                f"the embedding's Dense takes {self.weight.shape[1]} numbers and the pooled vector "
                f"has {vector.size}; the folder's modules do not belong together"
            )
        linear: Floats = self.weight @ vector
        if self.bias is not None:
            linear = linear + self.bias
        answer = ACTIVATIONS[self.activation](linear)
        return answer if self.residual is None else answer + self.residual @ vector


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """A layer normalization; `weight` and `bias` are ``[hidden]``."""

    weight: Floats
    bias: Floats

    def __call__(self, vector: Floats) -> Floats:
        """Returns the vector that follows, of the same size."""
        centred = vector - vector.mean()
        scaled: Floats = centred / np.sqrt((centred**2).mean() + _EPSILON)
        return scaled * self.weight + self.bias


@dataclass(frozen=True)
class Normalize:
    """The division by the vector's length."""

    def __call__(self, vector: Floats) -> Floats:
        """Returns the vector of length 1; zero stays zero."""
        return vector / max(float(np.linalg.norm(vector)), _SMALLEST)


VectorStep = Dense | LayerNorm | Normalize


def read_dense(config: Mapping[str, object], files: Mapping[str, bytes], path: str) -> Dense:
    """Returns a Dense as its folder has it.

    Args:
        config: What its ``config.json`` holds.
        files: The files of the model, by relative name.
        path: The module's folder.

    Raises:
        LoadError: The weights are missing or do not fit, or the activation is not known.
    """
    place = f"{path}/config.json"
    size = (config.get("out_features"), config.get("in_features"))
    weights = _weights(files, path)
    shapes: dict[str, tuple[object, ...]] = {"linear.weight": size}
    if config.get("bias", True):
        shapes["linear.bias"] = size[:1]
    residual = bool(config.get("use_residual", False))
    if residual and size[0] != size[1]:
        shapes["residual.weight"] = size
    _check_shapes(weights, shapes, path)
    return Dense(
        weights["linear.weight"],
        weights.get("linear.bias"),
        activation_named(str(config.get("activation_function", "torch.nn.Tanh")), place),
        weights.get("residual.weight", np.eye(len(weights["linear.weight"]))) if residual else None,
    )


def read_layer_norm(
    config: Mapping[str, object], files: Mapping[str, bytes], path: str
) -> LayerNorm:
    """Returns a LayerNorm as its folder has it; see `read_dense`."""
    weights = _weights(files, path)
    size = (config.get("dimension"),)
    _check_shapes(weights, {"norm.weight": size, "norm.bias": size}, path)
    return LayerNorm(weights["norm.weight"], weights["norm.bias"])


def _weights(files: Mapping[str, bytes], path: str) -> dict[str, Floats]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = files.get(f"{path}/{WEIGHTS_NAME}")
    if content is None:
        raise LoadError(
            f"{path} has neither {WEIGHTS_NAME} nor pytorch_model.bin, one of which it needs; "
            "copy the folder whole from the original model"
        )
    try:
        return {name: values.astype(np.float64) for name, values in load(content).items()}
    except (SafetensorError, KeyError, ValueError) as error:
        raise LoadError(
            f"{path}/{WEIGHTS_NAME} can't be read: {error}; restore it from the original model"
        ) from error


def _check_shapes(
    weights: Mapping[str, Floats], shapes: Mapping[str, tuple[object, ...]], path: str
) -> None:
    found = {name: values.shape for name, values in weights.items()}
    if found != shapes:
        raise LoadError(
            f"{path}/{WEIGHTS_NAME} holds {_told(found)} and {path}/config.json asks for "
            f"{_told(shapes)}; restore both from the original model"
        )


def _told(shapes: Mapping[str, tuple[object, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items()) or "nothing"
