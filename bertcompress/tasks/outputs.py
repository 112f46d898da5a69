"""The arithmetic between a model's output arrays and answers.

softmax(x)_i = exp(x_i - max x) / sum_j exp(x_j - max x), in float64;
sigmoid(x) = 1 / (1 + exp(-x)), written with tanh, which can't overflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import DataError, RunError
from bertcompress.examples import Example
from bertcompress.tasks.base import Arrays, Feature

Floats = NDArray[np.float64]
_E = TypeVar("_E", bound=Example)


def output_array(outputs: Arrays, name: str, *, shape: tuple[int | None, ...]) -> Floats:
    """Returns one output as float64.

    Args:
        outputs: A feature's outputs by name.
        name: The output asked for.
        shape: What it must have; None stands for any size.

    Raises:
        RunError: The output is missing or has another shape.
    """
    if name not in outputs:
        raise RunError(
            f"the task needs the output {name!r}, the model gave {', '.join(outputs)}; "
            "export the model again for this task"
        )
    array = np.asarray(outputs[name], dtype=np.float64)
    fits = len(array.shape) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise RunError(
            f"the task needs {name!r} of shape {shape}, the model gave {array.shape}; "
            "the model's head does not belong to its config.json"
        )
    return array


def check_counts(outputs: Sequence[Arrays], features: Sequence[Feature]) -> None:
    """Fails where there is not one output for each feature."""
    if len(outputs) != len(features):
        raise RunError(f"{len(features)} features were run, {len(outputs)} outputs came back")


def softmax(logits: Floats) -> Floats:
    """Returns probabilities over the last axis."""
    powers: Floats = np.exp(logits - logits.max(axis=-1, keepdims=True))
    total: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return total


def sigmoid(logits: Floats) -> Floats:
    """Returns each value's own probability."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def examples_of(examples: Sequence[Example], kind: type[_E], task: str) -> list[_E]:
    """Returns the examples by their type.

    Raises:
        DataError: One is of another type.
    """
    fitting: list[_E] = [example for example in examples if isinstance(example, kind)]
    if len(fitting) == len(examples):
        return fitting
    other = next(example for example in examples if not isinstance(example, kind))
    raise DataError(
        f"{task} needs {kind.__name__}, but {other.id} is a {type(other).__name__}; "
        f"load the data with task={task!r}"
    )
