"""Does the provider that was asked for really run the graph, all of it?

ONNX Runtime falls back without a word: a provider whose libraries are missing is left out, an
operator without a kernel runs on the CPU with copies around it. So it is asked: which providers the
session has, and which operators it gave to which. What may stay on the CPU is the arithmetic of
shapes (a few integers that the CPU needs anyway); anything else is refused.
(``session.disable_cpu_ep_fallback`` can't be used for that: it refuses shapes on the CPU too.)

An INT8 graph is refused on CUDA: the provider has no integer products, quantizes and dequantizes
around float ones, and is slower than FP16 (issue 10267 of ONNX Runtime: 12 to 232 ms).

Source: ``onnxruntime_session_options_config_keys.h``.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bertcompress.artifacts.graph_file import parse_graph
from bertcompress.errors import (
    MissingDependencyError,
    MissingError,
    MissingHardwareError,
    RunError,
)
from bertcompress.graph.kernels import INTEGER_KERNELS
from bertcompress.runtimes.ort.providers import PROVIDERS, Provider, ProviderSettings

if TYPE_CHECKING:
    import onnx

RECORD_PLACEMENT = "session.record_ep_graph_assignment_info"
"""The session's setting that makes it tell which provider got which operator."""

_QUANTIZING = ("QuantizeLinear", "DynamicQuantizeLinear")
_SHAPE_ORIGINS = ("Shape", "Size")
_FEW = 8
_NEEDED: dict[Provider, tuple[str, str]] = {
    "cpu": ("its libraries", '"bertcompress[cpu]"'),
    "cuda": ("CUDA 13 and cuDNN 9", '"bertcompress[gpu]"'),
    "tensorrt": ("TensorRT 10, CUDA 13 and cuDNN 9", '"bertcompress[gpu]" "tensorrt-cu13<11"'),
}
"""What the libraries of a provider link to, read from those of onnxruntime-gpu 1.31, and what
installs it."""
_PACKAGES = ("onnxruntime", "onnxruntime-gpu")


def prepared(ort: ModuleType, settings: ProviderSettings, source: str | bytes) -> onnx.ModelProto:
    """Returns a graph that a GPU is to run, looked through, and loads CUDA's libraries for it.

    Args:
        ort: The library.
        settings: The provider's.
        source: The graph's file, or its serialized bytes.

    Raises:
        RunError: If the provider does not compute in the graph's precision.
    """
    import onnx

    if settings.cache is not None:
        settings.cache.mkdir(parents=True, exist_ok=True)
    if isinstance(source, bytes):
        graph = onnx.load_model_from_string(source)
    else:
        graph = parse_graph(Path(source))
    what = source if isinstance(source, str) else "the graph"
    check_graph(settings.provider, graph, what)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
        ort.preload_dlls()  # CUDA's libraries as pip installs them
    return graph


def check_session(session: Any, settings: ProviderSettings, graph: onnx.ModelProto) -> None:
    """Fails unless a session runs a graph with the provider that was asked for.

    Raises:
        MissingHardwareError: The provider could not be loaded.
        RunError: An operator was given to another one.
    """
    session.disable_fallback()
    check_running(settings.provider, session.get_providers())
    placed = [
        (node.name, node.op_type, part.ep_name)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    ]
    check_placement(settings.provider, placed, shape_nodes(graph))


def check_packages() -> None:
    """Fails if both packages are installed: they write the same folder, the last one wins.

    Raises:
        MissingError: They are, or the one for GPUs is not installed.
    """
    found = [name for name in _PACKAGES if _is_installed(name)]
    if len(found) == len(_PACKAGES):
        raise MissingError(
            "onnxruntime and onnxruntime-gpu are both installed and have overwritten each other's "
            "files; type: pip uninstall -y onnxruntime onnxruntime-gpu && "
            'pip install "bertcompress[gpu]"'
        )
    if "onnxruntime-gpu" not in found:
        raise MissingDependencyError("onnxruntime-gpu", "gpu", "running an ONNX graph on a GPU")


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def check_running(provider: Provider, running: Sequence[str]) -> None:
    """Fails if a session left the provider out that was asked for.

    Args:
        provider: What was asked for.
        running: The providers that the session has.

    Raises:
        MissingHardwareError: It is not among them.
    """
    if PROVIDERS[provider] not in running:
        libraries, packages = _NEEDED[provider]
        raise MissingHardwareError(
            f"ONNX Runtime could not load {PROVIDERS[provider]} and would run on "
            f"{', '.join(running)}; {libraries} must be where the loader finds them; type: "
            f"pip install {packages}"
        )


def check_graph(provider: Provider, graph: onnx.ModelProto, name: str) -> None:
    """Fails if a graph is quantized in a way that a provider does not compute in.

    Args:
        provider: What will run it.
        graph: With or without its weights.
        name: What messages call it.

    Raises:
        RunError: It is.
    """
    kinds = {node.op_type for node in graph.graph.node}
    if provider == "cuda" and kinds & {*INTEGER_KERNELS, *_QUANTIZING}:
        raise RunError(
            f"{name} is quantized to 8 bits, which ONNX Runtime's CUDA provider does not "
            "accelerate; run it with ort-cpu, or make FP16 (bertcompress export --precision fp16) "
            "or a TensorRT graph of it"
        )
    if provider == "tensorrt" and kinds & set(INTEGER_KERNELS):
        raise RunError(
            f"{name} holds integer products of ONNX Runtime's own, which TensorRT can't read; "
            "quantize it for TensorRT (the recipe step quantize-tensorrt), or run it with ort-cpu"
        )


def precisions_of(graph: onnx.ModelProto) -> frozenset[str]:
    """Returns what a graph computes in besides float32: ``fp16``, ``bf16``, ``int8``."""
    from onnx import TensorProto

    types = {one.data_type for one in graph.graph.initializer}
    halves = {TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}
    found = {name for kind, name in halves.items() if kind in types}
    quantizing = any(node.op_type in _QUANTIZING for node in graph.graph.node)
    return frozenset(found | ({"int8"} if quantizing else set()))


def check_placement(
    provider: Provider,
    placed: Iterable[tuple[str, str, str]],
    shape_arithmetic: frozenset[str],
) -> None:
    """Fails if an operator that is not arithmetic of shapes runs on the CPU.

    Args:
        provider: What was asked for.
        placed: Of each operator its name, its type and its provider.
        shape_arithmetic: The operators that may run on the CPU, see `shape_nodes`.

    Raises:
        RunError: One does, or none runs on the provider.
    """
    placed = list(placed)
    lost = [
        f"{kind} {name}"
        for name, kind, where in placed
        if where == PROVIDERS["cpu"] and name not in shape_arithmetic
    ]
    if lost:
        raise RunError(
            f"{len(lost)} operators have no kernel in {PROVIDERS[provider]} and would run on the "
            f"CPU, first {lost[0]}; export the graph again with its default settings"
        )
    if not any(where == PROVIDERS[provider] for _, _, where in placed):
        raise RunError(f"no operator of the graph was given to {PROVIDERS[provider]}")


def shape_nodes(graph: onnx.ModelProto) -> frozenset[str]:
    """Returns the names of the operators that compute only shapes.

    They are those that look at a tensor's shape, and those that take nothing else but that and
    constants of a few numbers; a table that is looked up is none.
    """
    known = {one.name for one in graph.graph.initializer if math.prod(one.dims) <= _FEW}
    origins: set[str] = set()
    names = []
    for node in graph.graph.node:
        inputs = [one for one in node.input if one]
        if node.op_type == "Constant":
            known.update(node.output)
            continue
        from_shapes = bool(inputs) and all(one in known or one in origins for one in inputs)
        is_arithmetic = from_shapes and any(one in origins for one in inputs)
        if node.op_type in _SHAPE_ORIGINS or is_arithmetic:
            origins.update(node.output)
            names.append(node.name)
    return frozenset(names)
