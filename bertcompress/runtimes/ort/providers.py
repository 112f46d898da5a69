"""ONNX Runtime's providers and their options: the CPU's, CUDA's and TensorRT's.

CUDA's provider rounds float32 factors to TF32 unless told otherwise; here it is. TensorRT's builds
an engine for a range of shapes, which is always said: left to itself, it builds another one, which
takes minutes, whenever a shape leaves the range seen so far. It gets no calibration table; the
builder's flags for FP16, BF16 and INT8, which TensorRT before 11 asks for, are what the graph says.

Sources: ONNX Runtime documentation, "CUDA Execution Provider", "TensorRT Execution Provider".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bertcompress.errors import RunError, UsageError, did_you_mean
from bertcompress.runtimes.buckets import LENGTHS

Provider = Literal["cpu", "cuda", "tensorrt"]
PROVIDERS: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
Options = list[tuple[str, dict[str, str]]]


@dataclass(frozen=True)
class ShapeRange:
    """Texts and tokens that a TensorRT engine is built for.

    Attributes:
        least: Texts and tokens of the smallest input.
        usual: Of the one it is made fastest for.
        most: Of the largest.
    """

    least: tuple[int, int] = (1, 1)
    usual: tuple[int, int] = (8, 128)
    most: tuple[int, int] = (128, LENGTHS[-1])

    def __post_init__(self) -> None:
        ordered = all(
            1 <= a <= b <= c for a, b, c in zip(self.least, self.usual, self.most, strict=True)
        )
        if not ordered:
            raise UsageError(
                "least, usual and most shapes must be 1 or more and none smaller than the one "
                f"before, got {self.least}, {self.usual} and {self.most}"
            )


@dataclass(frozen=True)
class ProviderSettings:
    """Which provider runs a graph, and how.

    Attributes:
        provider: ``cpu``, ``cuda`` or ``tensorrt``.
        graphs: Whether buckets of shapes are recorded as CUDA graphs; with ``cuda``.
        longest: Tokens that the model has positions for; None if nobody says.
        shapes: What the engine is built for; with ``tensorrt``.
        cache: Where engines and timings are kept; with ``tensorrt``.
    """

    provider: Provider = "cpu"
    graphs: bool = False
    longest: int | None = None
    shapes: ShapeRange = ShapeRange()
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.provider not in PROVIDERS:
            raise UsageError(
                f"provider must be one of {', '.join(PROVIDERS)}, got {self.provider!r}"
                f"{did_you_mean(self.provider, PROVIDERS)}"
            )
        if self.graphs and self.provider != "cuda":
            raise UsageError(
                f"CUDA graphs are recorded with the provider cuda, not {self.provider}"
            )
        if self.provider == "tensorrt" and self.cache is None:
            raise UsageError("the provider tensorrt needs a cache folder for its engines")

    def options(self, inputs: Sequence[str], precisions: Collection[str] = ()) -> Options:
        """Returns the session's providers and their options, as ONNX Runtime takes them.

        Args:
            inputs: The names of the graph's inputs.
            precisions: What the graph computes in, see `checks.precisions_of`.
        """
        if self.provider == "cpu":
            return [(PROVIDERS["cpu"], {})]
        cuda = {"device_id": "0", "use_tf32": "0", "enable_cuda_graph": str(int(self.graphs))}
        options = [(PROVIDERS["cuda"], cuda)]
        if self.provider == "tensorrt" and self.cache is not None:
            # TensorRT's provider keeps its tensors through CUDA's, which is named behind it.
            engine = _tensorrt(inputs, self.shapes, self.cache)
            flags = {f"trt_{one}_enable": "1" for one in sorted(precisions)}
            options.insert(0, (PROVIDERS["tensorrt"], {**engine, **flags}))
        return options

    def check_shape(self, shape: tuple[int, int]) -> None:
        """Fails with a RunError if no engine was built for a batch of this shape."""
        least, most = self.shapes.least, self.shapes.most
        fits = all(low <= one <= high for low, one, high in zip(least, shape, most, strict=True))
        if self.provider == "tensorrt" and not fits:
            raise RunError(
                f"the engine is built for {least[0]} to {most[0]} texts of {least[1]} to {most[1]} "
                f"tokens, got {shape[0]} of {shape[1]}; run smaller batches"
            )


def _tensorrt(inputs: Sequence[str], shapes: ShapeRange, cache: Path) -> dict[str, str]:
    def of_all(shape: tuple[int, int]) -> str:
        return ",".join(f"{name}:{shape[0]}x{shape[1]}" for name in inputs)

    return {
        "device_id": "0",
        "trt_profile_min_shapes": of_all(shapes.least),
        "trt_profile_opt_shapes": of_all(shapes.usual),
        "trt_profile_max_shapes": of_all(shapes.most),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(cache),
        "trt_cuda_graph_enable": "0",
    }
