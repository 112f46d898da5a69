"""Weights of 4 or 8 bits in blocks: what a block is, and how it is packed into bytes.

A row of a weight (an output channel, or an embedding) is cut into blocks of `block_size` columns;
the last may be shorter. Each block has a scale and a zero point of its own::

    w' = (q - zero_point) * scale        q in 0 .. 2^bits - 1

**Symmetric** blocks store no zero point: it is the middle, ``2^(bits - 1)``. 4 bits then reach from
-8 to 7 steps, so the scale may be negative: the larger side gets the eighth step. **Asymmetric**
blocks lay all steps between the smallest and the largest weight (0 included) and pay half a byte
(4 bits) for it.

**Scales are float16 numbers**: next to the rounding to 16 steps their error of 2^-11 is nothing,
and in blocks of 32 a float32 scale would cost a bit a weight. The integers are chosen for the scale
as it is stored.

**Packed** (ONNX Runtime's MatMulNBits and GatherBlockQuantized): two integers of 4 bits share a
byte, the first in the low half; 8 bits are stored as they are.

Three weights in one block; 15 steps between -0.7 and 0.8 are 0.1 wide:

    >>> weight = np.float32([[-0.7, 0.8, 0.12]])
    >>> found = nearest(weight, minmax_grid(weight, BlockFormat(4, 16, symmetric=False)))
    >>> found.integers[0, 0, :3].tolist(), int(found.zero_points[0, 0])
    ([0, 15, 8], 7)
    >>> dequantized(found).round(2).tolist()
    [[-0.7, 0.8, 0.1]]
    >>> pack_bits(np.uint8([[1, 2, 15, 0]]), 4).tolist()
    [[33, 15]]

Source: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md, MatMulNBits
and GatherBlockQuantized.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import PassError, UsageError

BITS = (4, 8)
BLOCK_SIZES = (16, 32, 64, 128, 256)
"""Those that ONNX Runtime's CPU kernel of MatMulNBits takes."""

Floats = NDArray[np.float32]
_LARGEST_SCALE = float(np.finfo(np.float16).max)


@dataclass(frozen=True, order=True)
class BlockFormat:
    """How weights are stored.

    Attributes:
        bits: 4 or 8.
        block_size: Columns that share a scale, a power of two of 16 or more.
        symmetric: Whether the zero point is the middle and is not stored.
    """

    bits: int
    block_size: int
    symmetric: bool = True

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise UsageError(f"bits must be 4 or 8, got {self.bits}")
        if self.block_size < 16 or self.block_size & (self.block_size - 1):
            raise UsageError(
                f"block_size must be a power of two of 16 or more, got {self.block_size}"
            )

    @property
    def largest(self) -> int:
        """The largest integer; the smallest is 0."""
        return int(2**self.bits) - 1

    @property
    def middle(self) -> int:
        """The zero point of symmetric blocks."""
        return int(2 ** (self.bits - 1))

    def blocks(self, columns: int) -> int:
        """Returns how many blocks a row of so many columns has."""
        return -(-columns // self.block_size)

    def __str__(self) -> str:
        """Returns it as reports print it: ``int4 block 32 asymmetric``."""
        return f"int{self.bits} block {self.block_size}" + ("" if self.symmetric else " asymmetric")


@dataclass(frozen=True)
class BlockGrid:
    """The steps that each block may take.

    Attributes:
        format: How they are stored.
        scales: float32 ``[rows, blocks]``, each a float16 number and not 0.
        zero_points: uint8 ``[rows, blocks]``; the middle everywhere if symmetric.
    """

    format: BlockFormat
    scales: Floats
    zero_points: NDArray[np.uint8]


@dataclass(frozen=True)
class BlockWeights:
    """A weight ``[rows, columns]`` in blocks.

    Attributes:
        format: How it is stored.
        integers: uint8 ``[rows, blocks, block_size]``; past the last column the zero point.
        scales: float32 ``[rows, blocks]``, each a float16 number.
        zero_points: uint8 ``[rows, blocks]``.
        columns: How many columns are real.
    """

    format: BlockFormat
    integers: NDArray[np.uint8]
    scales: Floats
    zero_points: NDArray[np.uint8]
    columns: int


def fitting_block_size(asked: int, columns: int) -> int:
    """Returns the block size for rows of so many columns: none is twice as long as the row."""
    fitting = [size for size in BLOCK_SIZES if size < 2 * columns]
    return min(asked, max(fitting, default=BLOCK_SIZES[0]))


def in_blocks(weight: Floats, block_size: int) -> Floats:
    """Returns ``[rows, columns]`` as ``[rows, blocks, block_size]``, zeros past the last column."""
    rows, columns = weight.shape
    blocks = -(-columns // block_size)
    padded = np.zeros((rows, blocks * block_size), dtype=weight.dtype)
    padded[:, :columns] = weight
    return padded.reshape(rows, blocks, block_size)


def minmax_grid(weight: Floats, format_: BlockFormat, *, reach: float = 1.0) -> BlockGrid:
    """Lays the steps over each block's range.

    Args:
        weight: ``[rows, columns]``, finite.
        format_: How it is stored.
        reach: The part of the range that is covered; what lies outside is clamped.

    Raises:
        PassError: The weights are not finite, or too large for float16 scales.
    """
    blocks = in_blocks(weight, format_.block_size)
    low, high = blocks.min(axis=2), blocks.max(axis=2)
    if format_.symmetric:
        extreme = np.where(-low >= high, low, high)
        scales = stored_scales(-extreme * np.float32(reach / format_.middle))
        return BlockGrid(format_, scales, np.full(scales.shape, format_.middle, dtype=np.uint8))
    low, high = np.minimum(low, 0) * reach, np.maximum(high, 0) * reach
    scales = stored_scales((high - low) / np.float32(format_.largest))
    return BlockGrid(format_, scales, stored_zero_points(-low / scales, format_))


def stored_scales(scales: Floats) -> Floats:
    """Returns the nearest float16 numbers, as float32; 1 where that is 0.

    Raises:
        PassError: A scale is beyond float16, or not a number.
    """
    if not (np.abs(scales) <= _LARGEST_SCALE).all():
        raise PassError(
            "a weight is not a finite number or is above 500 000, which blocks of 4 or 8 bits "
            "can't hold; find out what made it so large, or name its module in keep_float"
        )
    rounded = scales.astype(np.float16).astype(np.float32)
    return np.where(rounded == 0, np.float32(1), rounded)


def stored_zero_points(zero_points: Floats, format_: BlockFormat) -> NDArray[np.uint8]:
    """Returns the nearest zero points that can be stored."""
    return np.clip(np.rint(zero_points), 0, format_.largest).astype(np.uint8)


def nearest(weight: Floats, grid: BlockGrid) -> BlockWeights:
    """Rounds each weight ``[rows, columns]`` to the nearest step of its block."""
    blocks = in_blocks(weight, grid.format.block_size)
    steps = np.rint(blocks / grid.scales[:, :, None]) + grid.zero_points[:, :, None]
    integers = np.clip(steps, 0, grid.format.largest).astype(np.uint8)
    return BlockWeights(grid.format, integers, grid.scales, grid.zero_points, weight.shape[1])


def dequantized(weights: BlockWeights) -> Floats:
    """Returns the numbers that the integers stand for, float32 ``[rows, columns]``."""
    offsets = weights.integers.astype(np.float32) - weights.zero_points[:, :, None]
    values = offsets * weights.scales[:, :, None]
    rows = values.shape[0]
    return np.asarray(values.reshape(rows, values[:1].size)[:, : weights.columns])


def pack_bits(integers: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Packs integers along the last axis; an odd one out is followed by 0."""
    if bits == 8:
        return integers
    if integers.shape[-1] % 2:
        integers = np.concatenate([integers, np.zeros_like(integers[..., :1])], axis=-1)
    return np.asarray(integers[..., 0::2] | (integers[..., 1::2] << 4), dtype=np.uint8)
