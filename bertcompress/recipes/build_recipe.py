"""The passes that make a TensorRT engine: what the command ``build`` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from bertcompress.errors import UsageError
from bertcompress.passes.base import AnyPass
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from bertcompress.recipes.recipe import or_default
from bertcompress.runtimes.tensorrt.library import import_tensorrt, platform_here

if TYPE_CHECKING:
    from bertcompress.artifacts.engine_record import Hardware
    from bertcompress.passes.tensorrt.profiles import Goal
    from bertcompress.passes.tensorrt.quantize_tensorrt import Precision


@dataclass(frozen=True)
class BuildOptions:
    """What is asked of an engine: what `BuildEngine` has, and a graph to make first.

    Attributes:
        goal: ``latency``, ``throughput`` or ``packed``.
        precision: The graph's, if one is made first: ``int8``, ``fp8``, ``fp16`` or ``bf16``.
        target: The oldest TensorRT that reads that graph.
        lengths: The longest text of each profile.
        batches: The largest batch of each profile.
        max_length: Longest text in tokens.
        workspace_bytes: Memory for a kernel.
        optimization_level: 0 to 5.
        max_aux_streams: Further streams for layers.
        max_tactics: Kernels timed for a layer.
        timing_cache: A file of timings to read and to add to.
        tf32: Whether float32 may be TF32.
        strip_weights: Whether the weights are left out.
        version_compatible: Whether newer TensorRTs load it too.
        hardware: For which other GPUs too.
        tolerance: Largest difference to the graph that is allowed, relative.
    """

    goal: str = "latency"
    precision: str | None = None
    target: str | None = None
    lengths: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()
    max_length: int | None = None
    workspace_bytes: int | None = None
    optimization_level: int | None = None
    max_aux_streams: int | None = None
    max_tactics: int | None = None
    timing_cache: str | None = None
    tf32: bool = False
    strip_weights: bool = False
    version_compatible: bool = False
    hardware: str | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.target is not None and self.precision is None:
            raise UsageError("target is for the graph that --precision makes; add --precision")


def build_passes(asked: BuildOptions, *, seed: int = 0) -> tuple[AnyPass, ...]:
    """Returns the passes that do what is asked.

    Raises:
        UsageError: If it can't be meant.
    """
    build = BuildEngine(
        goal=cast("Goal", asked.goal),  # the pass lists what it allows, here and below
        lengths=asked.lengths,
        batches=asked.batches,
        max_length=asked.max_length,
        workspace_bytes=asked.workspace_bytes,
        optimization_level=asked.optimization_level,
        max_aux_streams=asked.max_aux_streams,
        max_num_tactics=asked.max_tactics,
        timing_cache=asked.timing_cache,
        tf32=asked.tf32,
        strip=asked.strip_weights,
        version_compatible=asked.version_compatible,
        hardware=cast("Hardware", or_default(asked.hardware, BuildEngine.hardware)),
        tolerance=asked.tolerance,
        seed=seed,
    )
    if asked.precision is None:
        return (build,)
    quantize = QuantizeTensorrt(
        precision=cast("Precision", asked.precision),
        target=or_default(asked.target, QuantizeTensorrt.target),
        seed=seed,
    )
    return (quantize, build)


def check_platform() -> None:
    """Fails where no engine can be built, before anything is loaded.

    Raises:
        MissingError: TensorRT or a GPU is missing.
    """
    platform_here(import_tensorrt("building an engine"))
