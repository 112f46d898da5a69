"""How many scales a tensor has.

    granularity    input shape     scale shape
    PerTensor()    [a, b, c]       []
    PerAxis(0)     [a, b, c]       [a]
    PerAxis(-1)    [a, b, c]       [c]

The scale shapes are those that ONNX's QuantizeLinear and DequantizeLinear take. A weight that is
stored ``[in, out]`` has one scale for each output channel with ``PerAxis(1)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import UsageError


@dataclass(frozen=True)
class PerTensor:
    """One scale for all values: shape ``[…]`` -> scale shape ``[]``."""


@dataclass(frozen=True)
class PerAxis:
    """One scale for each index of an axis: shape ``[a, b]`` -> scale shape ``[a]`` for axis 0.

    Attributes:
        axis: The axis that keeps its own scales; negative counts from the last.
    """

    axis: int


Granularity = PerTensor | PerAxis

PER_TENSOR = PerTensor()


def scale_shape(shape: tuple[int, ...], granularity: Granularity) -> tuple[int, ...]:
    """Returns the shape of the scales of a tensor of this shape.

    >>> scale_shape((4, 8), PerTensor()), scale_shape((4, 8), PerAxis(1))
    ((), (8,))

    Raises:
        UsageError: The tensor has no such axis.
    """
    if isinstance(granularity, PerTensor):
        return ()
    return (shape[_position(len(shape), granularity)],)


def shared_axes(rank: int, granularity: Granularity) -> tuple[int, ...]:
    """Returns the axes whose values share a scale: those that a maximum is taken over.

    Raises:
        UsageError: A tensor of this rank has no such axis.
    """
    if isinstance(granularity, PerTensor):
        return tuple(range(rank))
    kept = _position(rank, granularity)
    return tuple(axis for axis in range(rank) if axis != kept)


def broadcastable(
    scale: NDArray[np.float32] | np.float32, shape: tuple[int, ...], granularity: Granularity
) -> NDArray[np.float32]:
    """Returns the scales reshaped so that they broadcast over a tensor of this shape.

    Raises:
        UsageError: The scales do not have the shape that the granularity asks for.
    """
    scales = np.asarray(scale, dtype=np.float32)
    wanted = scale_shape(shape, granularity)
    if scales.shape != wanted:
        raise UsageError(
            f"scale must have shape {list(wanted)} for {granularity} on values of shape "
            f"{list(shape)}, got {list(scales.shape)}"
        )
    shared = shared_axes(len(shape), granularity)
    return np.expand_dims(scales, shared) if wanted else scales


def _position(rank: int, granularity: PerAxis) -> int:
    axis = granularity.axis
    if not -rank <= axis < rank:
        raise UsageError(
            f"axis must be from {-rank} to {rank - 1} for a tensor of {rank} axes, got {axis}"
        )
    return axis % rank
