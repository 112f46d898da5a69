"""Blocks: error bounds, packing, formats, the layout that the kernels read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bertcompress.errors import PassError, UsageError
from bertcompress.numerics.blocks import (
    BlockFormat,
    BlockGrid,
    dequantized,
    in_blocks,
    minmax_grid,
    nearest,
    pack_bits,
)

FORMATS = st.builds(
    BlockFormat, st.sampled_from((4, 8)), st.sampled_from((16, 32, 64)), st.booleans()
)
WEIGHTS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=70),
    elements=st.floats(-8, 8, width=32),
)


def unpacked(packed: np.ndarray, count: int) -> np.ndarray:
    """Returns the first integers of the last axis, of 4 bits each."""
    both = np.stack([packed & 15, packed >> 4], axis=-1)
    return both.reshape(*packed.shape[:-1], 2 * packed.shape[-1])[..., :count]


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3), elements=st.integers(0, 15)))
def test_what_is_packed_comes_back(integers: np.ndarray) -> None:
    packed = pack_bits(integers, 4)
    assert packed.shape == (*integers.shape[:-1], -(-integers.shape[-1] // 2))
    np.testing.assert_array_equal(unpacked(packed, integers.shape[-1]), integers)


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3)))
def test_eight_bits_are_stored_as_they_are(integers: np.ndarray) -> None:
    np.testing.assert_array_equal(pack_bits(integers, 8), integers)


@given(WEIGHTS, FORMATS)
def test_each_weight_comes_back_within_its_blocks_step(
    weight: np.ndarray, format_: BlockFormat
) -> None:
    found = nearest(weight, minmax_grid(weight, format_))

    steps = np.repeat(np.abs(found.scales), format_.block_size, axis=1)[:, : weight.shape[1]]
    # Half a step, half of one for the rounded zero point; a scale stored in float16 falls short of
    # the range by 2^-11 of it; a symmetric block has one step less on its smaller side.
    slack = 1.0 + format_.largest * 2**-11 + 1e-3
    finest = format_.largest * 2.0**-25 + 1e-6  # half of float16's smallest number, in every step
    assert (np.abs(dequantized(found) - weight) <= steps * slack + finest).all()


@given(WEIGHTS, FORMATS)
def test_the_nearest_step_is_the_best_of_all_steps(
    weight: np.ndarray, format_: BlockFormat
) -> None:
    grid = minmax_grid(weight, format_)
    found = nearest(weight, grid)

    blocks = in_blocks(weight, format_.block_size)
    every = np.arange(format_.largest + 1, dtype=np.float32)[:, None, None, None]
    candidates = (every - grid.zero_points[:, :, None]) * grid.scales[:, :, None]
    best = np.abs(candidates - blocks).min(axis=0)
    offsets = found.integers.astype(np.float32) - grid.zero_points[:, :, None]
    error = np.abs(offsets * grid.scales[:, :, None] - blocks)
    np.testing.assert_allclose(error, best, atol=1e-5 * (1 + np.abs(blocks).max()))


@given(WEIGHTS, FORMATS)
def test_what_is_stored_fits_its_type(weight: np.ndarray, format_: BlockFormat) -> None:
    grid = minmax_grid(weight, format_)
    found = nearest(weight, grid)
    assert (found.scales == found.scales.astype(np.float16)).all()
    assert (found.scales != 0).all()
    assert found.integers.max() <= format_.largest
    assert grid.zero_points.max() <= format_.largest
    assert not format_.symmetric or (grid.zero_points == format_.middle).all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_zeros_stay_zeros_and_the_padding_adds_nothing(symmetric: bool) -> None:
    weight = np.zeros((3, 37), dtype=np.float32)
    found = nearest(weight, minmax_grid(weight, BlockFormat(4, 16, symmetric)))
    assert found.integers.shape == (3, 3, 16)
    np.testing.assert_array_equal(dequantized(found), weight)
    offsets = found.integers - found.zero_points[:, :, None]
    assert not offsets[:, 2, 5:].any()


def test_the_larger_side_of_a_symmetric_block_gets_the_eighth_step() -> None:
    weight = np.float32([[0.8, -0.7], [-0.8, 0.7]])
    grid = minmax_grid(weight, BlockFormat(4, 16))
    assert (np.sign(grid.scales) == [[-1], [1]]).all()
    found = nearest(weight, grid)
    np.testing.assert_allclose(dequantized(found), weight, rtol=1e-3)


def test_one_positive_range_still_has_a_zero() -> None:
    weight = np.float32([[2.0, 3.0]])
    grid = minmax_grid(weight, BlockFormat(4, 16, symmetric=False))
    assert grid.zero_points[0, 0] == 0
    assert grid.scales[0, 0] == pytest.approx(0.2, rel=1e-3)


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e7])
def test_what_no_scale_can_hold_is_refused(value: float) -> None:
    with pytest.raises(PassError, match="not a finite number or is above"):
        minmax_grid(np.float32([[value, 1.0]]), BlockFormat(4, 16))


@pytest.mark.parametrize(
    ("bits", "block_size", "sentence"),
    [(3, 32, "bits must be 4 or 8, got 3"), (4, 24, "block_size must be a power of two")],
)
def test_formats_that_no_kernel_has(bits: int, block_size: int, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        BlockFormat(bits, block_size)


def test_a_format_is_printed_for_the_report() -> None:
    assert str(BlockFormat(4, 32, symmetric=False)) == "int4 block 32 asymmetric"
    assert str(BlockFormat(8, 128)) == "int8 block 128"


def test_a_grid_that_is_given_is_kept() -> None:
    grid = BlockGrid(
        BlockFormat(4, 16), np.full((1, 1), 0.5, dtype=np.float32), np.full((1, 1), 8, np.uint8)
    )
    found = nearest(np.float32([[0.3, 99.0, -99.0]]), grid)
    assert dequantized(found).tolist() == [[0.5, 3.5, -4.0]]
