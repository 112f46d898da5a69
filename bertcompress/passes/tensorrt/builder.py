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
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bertcompress.artifacts.engine_record import Profile
from bertcompress.errors import BuildError, MissingHardwareError
from bertcompress.passes.tensorrt.knobs import Knobs, Precisions, configure, is_strongly_typed
from bertcompress.passes.tensorrt.layers import layer_table
from bertcompress.passes.tensorrt.progress import BuildProgress, make_monitor
from bertcompress.runtimes.tensorrt.feed import input_shapes
from bertcompress.runtimes.tensorrt.library import last_error, make_logger

if TYPE_CHECKING:
    import onnx


_WAIT_S = 0.1


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
        profiles: The shapes it is for, of every batch.
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
    flags = configure(trt, config, knobs, precisions)
    _add_profiles(builder, network, config, profiles, logger)
    cache = _attach_cache(config, timing_cache)
    if hasattr(config, "progress_monitor"):
        config.progress_monitor = make_monitor(trt, progress)
    serialized = _interruptible(lambda: builder.build_serialized_network(network, config), progress)
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


def _add_profiles(
    builder: Any, network: Any, config: Any, profiles: Sequence[Profile], logger: Any
) -> None:
    names = [network.get_input(at).name for at in range(network.num_inputs)]
    for shapes in profiles:
        profile = builder.create_optimization_profile()
        for name in names:
            profile.set_shape(name, *input_shapes(name, shapes))
        if config.add_optimization_profile(profile) < 0:
            raise BuildError(f"TensorRT refused the profile {shapes}: {last_error(logger)}")


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


def _interruptible(work: Callable[[], Any], progress: BuildProgress) -> Any:
    """Does the work in another thread; an interrupt is passed on, and TensorRT's end waited for."""
    done: Future[Any] = Future()
    ready = threading.Event()  # no interrupt can strike between the thread's start and our care

    def run() -> None:
        ready.wait()
        try:
            done.set_result(work())
        except BaseException as error:  # whatever it is: the other thread raises it
            done.set_exception(error)

    threading.Thread(target=run, name="tensorrt-build", daemon=True).start()
    try:
        ready.set()
        while not wait((done,), timeout=_WAIT_S).done:  # so that any thread's signal is seen
            continue
        return done.result()
    except KeyboardInterrupt:
        progress.stop()
        ready.set()
        wait((done,))
        raise
