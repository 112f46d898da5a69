"""Fake quantization: numbers rounded to those that integers stand for, with gradients.

A model is trained for its quantized graph by running it with every quantized tensor ``x`` replaced
by the ``x'`` that its integer will stand for. The arithmetic forwards is that of
`bertcompress.numerics.affine` and of the packed blocks, to the bit; only the rounding has no useful
gradient, and is given one.

**Straight through.** Rounding counts as the identity (Bengio, Léonard and Courville 2013,
arXiv:1308.3432). A weight always gets the gradient of what replaced it: its scale follows from the
largest weight, so nothing is cut off. An activation outside its range gets none.

**Ranges are trained.** With ``scale = (high - low) / 255`` and ``r = round(x / scale)``, the ends
of an activation's range get the gradients that straight-through rounding leaves them (LSQ, Esser et
al. 2020, arXiv:1902.08153, equation 3; with a zero point as in LSQ+, arXiv:2004.09576)::

    inside    d x' / d high =  (r - x / scale) / 255        d x' / d low = -(r - x / scale) / 255
    above     d x' / d high =  1                            d x' / d low =  0
    below     d x' / d high =  0                            d x' / d low =  1

where outside the small error of the rounded zero point is added, as inside. Wider ranges
cut off less, narrower ones have finer steps: the sum over all values decides.

**How fast.** Ends are ``calibrated * exp(RANGE_RATE * stretch)``, and `stretch` is what is trained,
from 0. Adam moves every parameter by about its learning rate a step, however large the gradient is;
weights of a BERT are some hundredths, range ends some units, and without the factor they would not
leave their place in an epoch. Weight decay pulls the stretch to 0, the calibrated range.

**Blocks.** Each block's steps lie over its whole range, with float16 scales, as
`bertcompress.numerics.blocks.minmax_grid` lays them; they are laid anew in each step of training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bertcompress.numerics.affine import S8_MAX, U8_MAX, choose_asymmetric_u8
from bertcompress.numerics.blocks import BlockFormat

RANGE_RATE = 20.0
"""How much faster a range's end moves, relative to its size, than a weight does."""

_TINY = float(torch.finfo(torch.float32).tiny)


class InputRange(nn.Module):
    """Fake quantization of an activation, asymmetric U8 with one trained range.

    Args:
        low: The calibrated range's lower end; widened to hold 0.
        high: Its upper end.
    """

    calibrated: Tensor

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.register_buffer("calibrated", torch.tensor([min(low, 0.0), max(high, 0.0)]))
        self.stretch = nn.Parameter(torch.zeros(2))

    def ends(self) -> Tensor:
        """Returns the range as it is now, ``[low, high]``."""
        return self.calibrated * torch.exp(RANGE_RATE * self.stretch)

    def forward(self, values: Tensor) -> Tensor:
        """Returns the nearest numbers that the 256 steps stand for, shaped as the values are."""
        low, high = self.ends()
        rounded: Tensor = _RoundActivation.apply(values, low, high)  # type: ignore[no-untyped-call]
        return rounded


def round_rows(weight: Tensor) -> Tensor:
    """Returns a weight as symmetric S8 with one scale a row holds it; gradients pass through.

    Args:
        weight: Float32 ``[..., width]``; each index before the last axis has its own scale.
    """
    rounded: Tensor = _RoundRows.apply(weight)  # type: ignore[no-untyped-call]
    return rounded


def round_blocks(weight: Tensor, format_: BlockFormat) -> Tensor:
    """Returns a weight as blocks of its last axis hold it; gradients pass through.

    Args:
        weight: Float32 ``[..., width]``; the last block of a row may be shorter.
        format_: How it is stored.
    """
    rounded: Tensor = _RoundBlocks.apply(weight, format_)  # type: ignore[no-untyped-call]
    return rounded


def round_table(rows: Tensor, format_: BlockFormat) -> Tensor:
    """Returns rows of a table as ``GatherBlockQuantized`` reads them: blocks, then float16."""
    blocks = round_blocks(rows, format_)
    return blocks + (blocks.half().float() - blocks).detach()


class _RoundActivation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, low: Tensor, high: Tensor) -> Tensor:
        scale, zero_point = choose_asymmetric_u8(low.item(), high.item())
        ctx.scale, ctx.zero_point, ctx.low = float(scale), int(zero_point), low.item()
        ctx.save_for_backward(values)
        steps: Tensor = (values / ctx.scale).round_().add_(ctx.zero_point).clamp_(0, U8_MAX)
        return steps.sub_(ctx.zero_point).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (gradient,), (values,) = gradients, ctx.saved_tensors
        exact = values / ctx.scale
        steps = exact.round().add_(ctx.zero_point)
        below, above = steps < 0, steps > U8_MAX
        outside = below | above
        error = steps.sub_(ctx.zero_point).sub_(exact)
        error.masked_fill_(outside, -ctx.zero_point - ctx.low / ctx.scale)
        by_scale = (gradient * error).sum() / U8_MAX
        by_low = gradient[below].sum() - by_scale
        by_high = gradient[above].sum() + by_scale
        return gradient.masked_fill(outside, 0.0), by_low, by_high


class _RoundRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        scale = weight.abs().amax(dim=-1, keepdim=True) / S8_MAX
        scale = torch.where(scale < _TINY, 1.0, scale)
        return (weight / scale).round_().clamp_(-S8_MAX, S8_MAX).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class _RoundBlocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, format_: BlockFormat) -> Tensor:
        width, size = weight.shape[-1], format_.block_size
        padded = nn.functional.pad(weight, (0, -width % size))
        blocks = padded.view(*weight.shape[:-1], -1, size)
        low, high = blocks.aminmax(dim=-1, keepdim=True)
        if format_.symmetric:
            scale = _stored(torch.where(-low >= high, low, high) / -format_.middle)
            zero_point: Tensor | int = format_.middle
        else:
            low, high = low.clamp_max(0), high.clamp_min(0)
            scale = _stored((high - low) / format_.largest)
            zero_point = (-low / scale).round_().clamp_(0, format_.largest)
        steps = (blocks / scale).round_().add_(zero_point).clamp_(0, format_.largest)
        return steps.sub_(zero_point).mul_(scale).flatten(-2)[..., :width]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def _stored(scale: Tensor) -> Tensor:
    """Returns the nearest float16 numbers, 1 where that is 0."""
    rounded = scale.half().float()
    return torch.where(rounded == 0, 1.0, rounded)
