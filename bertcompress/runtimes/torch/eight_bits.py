"""torchao's INT8 and FP8 products in the place of the layers' linear modules.

Weights are quantized once, one scale an output channel; activations as they come, one scale a token
(FP8 on GPUs before Hopper: one a tensor). Nothing is calibrated. The products run in 8 bits on
tensor cores, but the quantizing of activations is only fast when ``torch.compile`` fuses it.
Source: torchao documentation, "Quantized inference".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bertcompress.bert.structure import encoder_of
from bertcompress.errors import MissingDependencyError, MissingHardwareError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from bertcompress.runtimes.torch.settings import EightBits

LEAST_TOKENS = 32
"""Rows that an INT8 product on a GPU needs more than 16 of; inputs are padded to so many tokens."""

_FP8_FROM = (8, 9)
_PER_TOKEN_FROM = (9, 0)
_DIVISOR = 16


def import_torchao(kind: EightBits) -> Any:
    """Imports the library's quantization, or fails with the sentence that says what to type."""
    try:
        import torchao.quantization as quantization
    except ImportError as error:
        raise MissingDependencyError(
            "torchao", "torchao", f"computing linear layers in {kind}"
        ) from error
    return quantization


def check_capability(kind: EightBits, capability: tuple[int, int]) -> None:
    """Fails with a MissingHardwareError if a GPU has no such products."""
    if kind == "fp8" and capability < _FP8_FROM:
        raise MissingHardwareError(
            f"FP8 needs a GPU of compute capability 8.9 or newer (Ada, Hopper), this one has "
            f"{capability[0]}.{capability[1]}; take torch-cuda-int8 or torch-cuda-fp16"
        )


def quantize_layers(
    model: PreTrainedModel, kind: EightBits, *, capability: tuple[int, int] | None
) -> int:
    """Quantizes the linear modules of the encoder's layers, in place; heads stay as they are.

    Args:
        model: On its device, in bfloat16 for FP8.
        kind: ``int8`` or ``fp8``.
        capability: The GPU's; None on the CPU.

    Returns:
        How many modules were quantized.

    Raises:
        MissingDependencyError: If torchao is not installed.
    """
    from torch import nn

    quantization = import_torchao(kind)
    chosen: set[str] = set()

    def is_chosen(module: nn.Module, name: str) -> bool:
        fits = isinstance(module, nn.Linear) and not (
            module.in_features % _DIVISOR or module.out_features % _DIVISOR
        )
        if fits:
            chosen.add(name)
        return fits

    if kind == "int8":
        settings = quantization.Int8DynamicActivationInt8WeightConfig()
    else:
        fine = capability is not None and capability >= _PER_TOKEN_FROM
        granularity = quantization.PerRow() if fine else quantization.PerTensor()
        settings = quantization.Float8DynamicActivationFloat8WeightConfig(granularity=granularity)
    quantization.quantize_(encoder_of(model).layer, settings, filter_fn=is_chosen)
    return len(chosen)
