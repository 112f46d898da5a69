"""Makes a plan of a graph with the TensorRT that is installed, from 8.5 to 11.

Where TensorRT knows strongly typed networks (from 10 on) the graph alone says the precision, and
no flag could change it. Before, its flags INT8 and FP16 are set as the graph's own Q/DQ pairs and
types ask for. Every setting is one that the installed version has, or an error: what exists is
asked with ``hasattr``.

The builder works in a thread of its own while this one waits, so that Ctrl-C reaches it at once:
TensorRT is told at its next step to stop (8.x can't be told and is waited for).
Source: https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/advanced.html
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from bertcompress.engine_record import Hardware, Profile
from bertcompress.errors import BuildError, MissingHardwareError, UsageError
from bertcompress.graph.tensorrt_target import TARGETS, Target
from bertcompress.passes.tensorrt_layers import layer_table
from bertcompress.passes.tensorrt_progress import BuildProgress, make_monitor
from bertcompress.runtimes.tensorrt_library import last_error, make_logger

if TYPE_CHECKING:
    import onnx

_WAIT_S = 0.1
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Knobs:
    """The builder's settings; None leaves TensorRT's own default.

    Attributes:
        workspace_bytes: Most memory that a kernel may work in.
        optimization_level: 0 (quick to build) to 5 (tries most).
        max_aux_streams: Further streams that layers may run in at the same time; 0 for one alone.
        max_num_tactics: Most kernels that are timed for a layer.
        tf32: Whether float32 products may be computed in TF32, with 10 bits of mantissa.
        strip: Whether weights are left out of the plan and read from the graph when it is loaded.
        version_compatible: Whether newer versions of TensorRT can load it too.
        hardware: Which other GPUs can run it, one of `bertcompress.engine_record.HARDWARE`.
    """

    workspace_bytes: int | None = None
    optimization_level: int | None = None
    max_aux_streams: int | None = None
    max_num_tactics: int | None = None
    tf32: bool = False
    strip: bool = False
    version_compatible: bool = False
    hardware: Hardware = "none"

    def to_json(self) -> dict[str, object]:
        """Returns them by name."""
        return asdict(self)


@dataclass(frozen=True)
class Precisions:
    """What a graph itself asks for, for a TensorRT whose networks are not strongly typed."""

    int8: bool
    fp16: bool


@dataclass(frozen=True)
class Built:
    """What the builder made.

    Attributes:
        plan: The serialized engine.
        layers: Name, type and precision of each layer.
        log_sha256: Of all that TensorRT logged.
        timing_cache: The cache with what was timed now; empty if none was asked for.
        flags: The precision flags that were set; none in a strongly typed network.
        seconds: How long it took.
    """

    plan: bytes
    layers: tuple[dict[str, str], ...]
    log_sha256: str
    timing_cache: bytes
    flags: tuple[str, ...]
    seconds: float


def is_strongly_typed(trt: ModuleType) -> bool:
    """Whether the installed TensorRT takes precision from the graph alone."""
    return hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def target_of(trt: ModuleType) -> Target:
    """Returns which graphs the installed TensorRT reads, by what its networks are made of."""
    network = trt.INetworkDefinition
    if is_strongly_typed(trt):
        return TARGETS["10.14" if hasattr(network, "add_attention") else "10.0"]
    return TARGETS["8.6" if hasattr(network, "add_normalization") else "8.5"]


def build_plan(
    trt: ModuleType,
    graph: onnx.ModelProto,
    profiles: Sequence[Profile],
    knobs: Knobs,
    *,
    precisions: Precisions,
    timing_cache: bytes | None = None,
    progress: BuildProgress,
) -> Built:
    """Builds an engine.

    Args:
        trt: The library.
        graph: What it computes.
        profiles: The shapes it is for, of every input.
        knobs: The builder's settings.
        precisions: What the graph asks for, where flags say it.
        timing_cache: Timings of earlier builds, may be empty; None keeps none.
        progress: Is told the steps, and says whether to go on.

    Raises:
        MissingHardwareError: TensorRT sees no GPU.
        UsageError: A setting is one that this TensorRT does not have.
        BuildError: The graph can't be read or no engine can be made of it.
        KeyboardInterrupt: It was interrupted, and TensorRT has stopped.
    """
    started = time.perf_counter()
    logger = make_logger(trt)
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # what pybind makes of a null pointer
        raise MissingHardwareError(
            f"TensorRT can't use the GPU here: {last_error(logger)}"
        ) from error
    network = builder.create_network(_network_flags(trt))
    _parse(trt, network, logger, graph)
    config = builder.create_builder_config()
    flags = _configure(trt, config, knobs, precisions)
    _add_profiles(builder, network, config, profiles, logger)
    cache = _attach_cache(config, timing_cache)
    if hasattr(config, "progress_monitor"):
        config.progress_monitor = make_monitor(trt, progress)
    serialized = _interruptible(lambda: builder.build_serialized_network(network, config), progress)
    if progress.stopped:
        raise KeyboardInterrupt
    if serialized is None:
        raise BuildError(f"TensorRT made no engine: {last_error(logger)}")
    plan = bytes(serialized)
    layers = layer_table(trt, logger, plan, host_code=knobs.version_compatible)
    return Built(
        plan=plan,
        layers=layers,
        log_sha256=hashlib.sha256("\n".join(logger.lines).encode()).hexdigest(),
        timing_cache=bytes(cache.serialize()) if cache is not None else b"",
        flags=flags,
        seconds=round(time.perf_counter() - started, 3),
    )


def _network_flags(trt: ModuleType) -> int:
    kinds = trt.NetworkDefinitionCreationFlag
    flag = kinds.STRONGLY_TYPED if is_strongly_typed(trt) else kinds.EXPLICIT_BATCH
    return 1 << int(flag)


def _parse(trt: ModuleType, network: Any, logger: Any, graph: onnx.ModelProto) -> None:
    parser = trt.OnnxParser(network, logger)
    if parser.parse(graph.SerializeToString()):
        return
    errors = [_parser_error(parser.get_error(at), graph) for at in range(parser.num_errors)]
    shown = "; ".join(errors[:3]) or last_error(logger)
    more = f" (and {len(errors) - 3} more)" if len(errors) > 3 else ""
    raise BuildError(f"TensorRT can't read the graph: {shown}{more}")


def _parser_error(error: Any, graph: onnx.ModelProto) -> str:
    """Returns the node and the parser's own sentence."""
    sentence = " ".join(error.desc().split())
    if hasattr(error, "node_name"):
        name, kind = error.node_name(), error.node_operator()
    else:
        at = error.node()
        known = 0 <= at < len(graph.graph.node)
        node = graph.graph.node[at] if known else None
        name, kind = (node.name, node.op_type) if node is not None else ("", "")
    return f"{kind} {name}: {sentence}" if name else sentence


def _configure(
    trt: ModuleType, config: Any, knobs: Knobs, precisions: Precisions
) -> tuple[str, ...]:
    """Sets what was asked for; returns the precision flags that the graph asked for."""
    if knobs.workspace_bytes is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, knobs.workspace_bytes)
    for name, attribute in (
        ("optimization_level", "builder_optimization_level"),
        ("max_aux_streams", "max_aux_streams"),
        ("max_num_tactics", "max_num_tactics"),
    ):
        value = getattr(knobs, name)
        if value is not None:
            _require(trt, hasattr(config, attribute), name)
            setattr(config, attribute, value)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if not knobs.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    wanted = {
        "STRIP_PLAN": knobs.strip,
        "REFIT_IDENTICAL": knobs.strip,
        "VERSION_COMPATIBLE": knobs.version_compatible,
    }
    for flag in (name for name, asked in wanted.items() if asked):
        _require(trt, hasattr(trt.BuilderFlag, flag), flag.lower())
        config.set_flag(getattr(trt.BuilderFlag, flag))
    if knobs.hardware != "none":
        level = knobs.hardware.upper().replace("+", "_PLUS").replace("-", "_")
        levels = getattr(trt, "HardwareCompatibilityLevel", None)
        _require(trt, hasattr(levels, level), f"hardware {knobs.hardware}")
        config.hardware_compatibility_level = getattr(levels, level)
    if hasattr(trt.PreviewFeature, "PROFILE_SHARING_0806"):
        config.set_preview_feature(trt.PreviewFeature.PROFILE_SHARING_0806, True)
    if is_strongly_typed(trt):
        return ()
    flags = [name for name in ("INT8", "FP16") if getattr(precisions, name.lower())]
    for name in flags:
        config.set_flag(getattr(trt.BuilderFlag, name))
    return tuple(flags)


def _require(trt: ModuleType, there: bool, name: str) -> None:
    if not there:
        raise UsageError(
            f"TensorRT {trt.__version__} has no {name.replace('_', ' ')}; leave it out"
        )


def _add_profiles(
    builder: Any, network: Any, config: Any, profiles: Sequence[Profile], logger: Any
) -> None:
    names = [network.get_input(at).name for at in range(network.num_inputs)]
    for one in profiles:
        profile = builder.create_optimization_profile()
        for name in names:
            profile.set_shape(name, one.least, one.opt, one.most)
        if config.add_optimization_profile(profile) < 0:
            raise BuildError(f"TensorRT refused the profile {one}: {last_error(logger)}")


def _attach_cache(config: Any, content: bytes | None) -> Any:
    if content is None:
        return None
    cache = config.create_timing_cache(content)
    if cache is None or not config.set_timing_cache(cache, False):
        raise BuildError(
            "the timing cache is of another GPU or another TensorRT; give the name of a new file "
            "to --timing-cache"
        )
    return config.get_timing_cache()


def _interruptible(work: Any, progress: BuildProgress) -> Any:
    """Does the work in another thread; an interrupt is passed on and waited for."""
    with ThreadPoolExecutor(1, thread_name_prefix="tensorrt-build") as pool:
        done: Future[Any] = pool.submit(work)
        while True:
            try:
                return done.result(timeout=_WAIT_S)
            except TimeoutError:
                if done.done():
                    raise
            except KeyboardInterrupt:
                progress.stop()
