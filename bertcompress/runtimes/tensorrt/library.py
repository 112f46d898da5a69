"""The only home of ``tensorrt``: its import, its log, this machine, and engines from plans.

One source serves TensorRT 8.5 to 11: what a version lacks is found by ``hasattr``, never by its
number, and asking for it is an error.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from bertcompress.artifacts.artifact import Engine
from bertcompress.artifacts.engine_file import check_plan, read_engine
from bertcompress.artifacts.engine_record import PACKED, EngineRecord, Platform, differences
from bertcompress.artifacts.graph_file import ONNX_NAME
from bertcompress.errors import LoadError, MissingDependencyError, MissingError, RunError
from bertcompress.graph.fingerprint import graph_sha256
from bertcompress.graph.tensorrt.pack_tokens import pack_tokens
from bertcompress.runtimes.tensorrt.cuda import gpu_facts

if TYPE_CHECKING:
    import onnx

INDEX = "https://pypi.nvidia.com"


def import_tensorrt(purpose: str) -> ModuleType:
    """Imports the library, or fails with the sentence that says how to install it."""
    try:
        import tensorrt
    except ImportError as error:
        raise MissingDependencyError("TensorRT", "tensorrt", purpose, index=INDEX) from error
    return cast("ModuleType", tensorrt)


def platform_here(trt: ModuleType) -> Platform:
    """Returns this machine, as far as engines are bound to it.

    Raises:
        MissingError: If torch was built without CUDA.
        MissingHardwareError: If there is no CUDA device.
    """
    gpu = gpu_facts()
    system = f"{platform.system()}-{platform.machine()}".lower()
    return Platform(tensorrt=str(trt.__version__), system=system, **gpu)  # type: ignore[arg-type]  # names of Platform


def machine_name() -> str:
    """Returns in short what engines built here belong to; empty where none can be built."""
    try:
        here = platform_here(import_tensorrt("building an engine"))
    except MissingError:
        return ""
    return f"TensorRT {here.tensorrt}, {here.gpu}, sm {here.sm}, driver {here.driver}"


def make_logger(trt: ModuleType) -> Any:
    """Returns a logger for TensorRT that keeps lines and errors, and prints nothing.

    Its ``lines`` hold all from INFO on, its ``errors`` the sentences of errors.
    """
    kept = (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR)

    class Recorder(trt.ILogger):  # type: ignore[misc,name-defined]  # the library has no types
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[str] = []
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity == trt.ILogger.VERBOSE:
                return
            self.lines.append(f"[{severity.name}] {msg}")
            if severity in kept:
                self.errors.append(msg)

    return Recorder()


def last_error(logger: Any) -> str:
    """Returns what TensorRT last complained of, for the end of a sentence."""
    errors: list[str] = logger.errors
    return " ".join(errors[-1].split()) if errors else "it gave no reason"


def _check_platform(record: EngineRecord, here: Platform, *, where: str) -> None:
    """Fails with a RunError if an engine was built for another machine.

    The sentence names each thing that differs.
    """
    found = differences(
        record.platform,
        here,
        version_compatible=bool(record.knobs.get("version_compatible")),
        hardware=str(record.knobs.get("hardware", "none")),
    )
    if found:
        raise RunError(
            f"the engine in {where} was built for {', '.join(found)}; build it for this machine: "
            f"bertcompress build {where} -o OUT, or run its graph: --runtime ort-cpu"
        )


def built_graph(graph: onnx.ModelProto, goal: object) -> onnx.ModelProto:
    """Returns the graph that TensorRT is given: the artifact's own, or that without padding.

    Raises:
        ExportError: If it can't be packed.
    """
    return pack_tokens(graph) if goal == PACKED else graph


@dataclass(frozen=True)
class LoadedEngine:
    """An engine in TensorRT's hands, with the logger that has to outlive it."""

    trt: Any
    logger: Any
    engine: Any
    record: EngineRecord


def load_source(source: Path | Engine) -> LoadedEngine:
    """Loads the engine of an artifact, after every check that needs no TensorRT.

    Raises:
        LoadError: If the plan is not the one that its sidecar and the manifest carry.
        RunError: If it was built for another machine, or from another graph.
        MissingDependencyError: TensorRT is not installed.
        MissingHardwareError: There is no NVIDIA GPU.
    """
    trt = import_tensorrt("running a TensorRT engine")
    where = "memory"
    if isinstance(source, Engine):
        plan, record = source.plan, source.record
        graph = source.graph
    else:
        import onnx

        plan, record = read_engine(source)
        where, graph = str(source), onnx.load_model(str(source / ONNX_NAME))
    _check_platform(record, platform_here(trt), where=where)
    if graph_sha256(graph) != record.graph_sha256:
        raise RunError(
            f"the engine in {where} was made from another graph than the one beside it; build it "
            f"again: bertcompress build {where} -o OUT"
        )
    logger = make_logger(trt)
    content = b""
    if record.knobs.get("strip"):
        content = built_graph(graph, record.knobs.get("goal")).SerializeToString()
    engine = _deserialize(trt, logger, plan, record, content, where=where)
    return LoadedEngine(trt, logger, engine, record)


def _deserialize(
    trt: ModuleType, logger: Any, plan: bytes, record: EngineRecord, graph: bytes, *, where: str
) -> Any:
    """Hands a plan to TensorRT, and gives it its weights if it was built without.

    Args:
        trt: The library.
        logger: From `make_logger`; it has to outlive the engine.
        plan: The serialized engine.
        record: Its sidecar, which has to carry the plan's SHA-256.
        graph: The ONNX model that it was made from, whose weights a stripped plan takes.
        where: What messages call it.

    Raises:
        LoadError: If the plan is not the sidecar's, or TensorRT refuses it.
    """
    check_plan(plan, record, where=where)
    runtime = trt.Runtime(logger)
    if record.knobs.get("version_compatible"):
        runtime.engine_host_code_allowed = True  # the lean runtime that is in such a plan
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise LoadError(f"TensorRT refuses the engine in {where}: {last_error(logger)}")
    if record.knobs.get("strip"):
        _refit(trt, logger, engine, graph, where)
    return engine


def _refit(trt: ModuleType, logger: Any, engine: Any, graph: bytes, where: str) -> None:
    refitter = trt.Refitter(engine, logger)
    parser = trt.OnnxParserRefitter(refitter, logger)
    if not parser.refit_from_bytes(graph):
        reasons = [parser.get_error(at).desc() for at in range(parser.num_errors)]
        raise LoadError(
            f"the weights of {where} do not fit its stripped engine: "
            f"{'; '.join(reasons) or last_error(logger)}"
        )
    if not refitter.refit_cuda_engine():
        missing = ", ".join(refitter.get_all_weights()[:3])
        raise LoadError(
            f"TensorRT could not give the stripped engine in {where} its weights ({missing}): "
            f"{last_error(logger)}"
        )
