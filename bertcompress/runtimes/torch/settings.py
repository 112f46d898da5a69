"""How torch runs a checkpoint: the device, the type, and what is made of the model before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bertcompress.errors import UsageError, did_you_mean

Device = Literal["cpu", "cuda"]
EightBits = Literal["int8", "fp8"]
DTYPES = ("float32", "float16", "bfloat16")
EIGHT_BITS: tuple[EightBits, ...] = ("int8", "fp8")


@dataclass(frozen=True)
class TorchSettings:
    """Settings of `bertcompress.runtimes.torch.runtime.TorchRuntime`.

    Attributes:
        device: ``cpu`` or ``cuda``.
        dtype: Of all weights and activations, by torch's name; outputs are float32 always.
            ``float32`` means float32: TF32 is off.
        compiled: Whether ``torch.compile`` makes kernels for it, when it is first run.
        graphs: Whether small batches are recorded as CUDA graphs, one for each shape bucket.
        packed: Whether padding is left out: the layers run on the tokens alone, attention on each
            text for itself.
        eight_bits: Whether torchao quantizes the layers' products, activations as they come:
            ``int8`` or ``fp8``; None leaves them.
    """

    device: Device = "cpu"
    dtype: str = "float32"
    compiled: bool = False
    graphs: bool = False
    packed: bool = False
    eight_bits: EightBits | None = None

    def __post_init__(self) -> None:
        if self.device not in ("cpu", "cuda"):
            raise UsageError(f"device must be cpu or cuda, got {self.device!r}")
        if self.dtype not in DTYPES:
            raise UsageError(
                f"dtype must be one of {', '.join(DTYPES)}, got {self.dtype!r}"
                f"{did_you_mean(self.dtype, DTYPES)}"
            )
        if self.eight_bits not in (None, *EIGHT_BITS):
            raise UsageError(f"eight_bits must be int8 or fp8, got {self.eight_bits!r}")
        if self.packed and self.graphs:
            raise UsageError(
                "packed texts have another number of tokens in every batch, which a CUDA graph "
                "can't have; leave out graphs or packed"
            )
        if self.packed and self.device == "cuda" and self.dtype == "float32":
            raise UsageError(
                "attention over packed texts computes in float16 or bfloat16 on a GPU, not in "
                "float32; set dtype"
            )


TORCH_RUNTIMES = {
    "torch-cpu": TorchSettings(),
    "torch-cuda": TorchSettings("cuda", graphs=True),
    "torch-cuda-fp16": TorchSettings("cuda", "float16", graphs=True),
    "torch-cuda-bf16": TorchSettings("cuda", "bfloat16", graphs=True),
    "torch-cuda-compiled": TorchSettings("cuda", "float16", compiled=True, graphs=True),
    "torch-cuda-packed": TorchSettings("cuda", "float16", packed=True),
    "torch-cuda-int8": TorchSettings(
        "cuda", "bfloat16", compiled=True, graphs=True, eight_bits="int8"
    ),
    "torch-cuda-fp8": TorchSettings(
        "cuda", "bfloat16", compiled=True, graphs=True, eight_bits="fp8"
    ),
}
"""What each runtime's name stands for."""
