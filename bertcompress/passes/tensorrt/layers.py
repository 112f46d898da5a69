"""Which layers an engine has and in which precision each computes, as its inspector tells it.

TensorRT fuses a graph's operators into layers, and only the finished engine says what came of a
Q/DQ pair. Up to version 10 the inspector writes type and layout of a tensor as one text, from 11
on as two.
Source: https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/engine-tools.html
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from bertcompress.errors import BuildError
from bertcompress.runtimes.tensorrt.library import last_error

_WORDS = (
    ("FP8", ("fp8",)),
    ("INT8", ("int8",)),
    ("BF16", ("bf16", "bfloat16")),
    ("FP16", ("fp16", "half", "float16")),
    ("FP32", ("fp32", "float32", "float")),
    ("INT64", ("int64",)),
    ("INT32", ("int32",)),
    ("BOOL", ("bool",)),
)
"""Types by the words for them in the inspector's texts; a later one may hold an earlier's word."""

_NARROWEST = ("FP8", "INT8", "BF16", "FP16", "FP32")


def layer_table(
    trt: ModuleType, logger: Any, plan: bytes, *, host_code: bool
) -> tuple[dict[str, str], ...]:
    """Returns name, type and precision of each layer of a plan that was built just now.

    Args:
        trt: The library.
        logger: Its logger.
        plan: The builder's own bytes.
        host_code: Whether the plan brings a runtime of its own, as version-compatible ones do.

    Raises:
        BuildError: TensorRT can't load its own plan.
    """
    runtime = trt.Runtime(logger)
    if host_code:
        runtime.engine_host_code_allowed = True
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise BuildError(f"TensorRT can't load the engine it made: {last_error(logger)}")
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    return read_layers(text)


def read_layers(text: str) -> tuple[dict[str, str], ...]:
    """Reads the inspector's JSON.

    >>> half = {"Name": "x", "Format/Datatype": "Row major linear FP16 format"}
    >>> layer = {"Name": "q", "LayerType": "gemm", "Inputs": [half], "Outputs": [half]}
    >>> read_layers(json.dumps({"Layers": [layer, "cast"]}))[0]
    {'name': 'q', 'type': 'gemm', 'precision': 'FP16', 'output': 'FP16'}

    Returns:
        ``name``, ``type``, ``precision`` (the narrowest type among the inputs, what its products
        multiply) and ``output`` of each; the last three are empty where only names are told.

    Raises:
        BuildError: It is not as TensorRT writes it.
    """
    try:
        layers = json.loads(text)["Layers"]
    except (ValueError, KeyError, TypeError) as error:
        raise BuildError("TensorRT's inspector gave no table of layers") from error
    return tuple(_row(layer) for layer in layers)


def precision_counts(layers: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """Returns how many layers compute in each precision, most first."""
    counted = Counter(layer["precision"] or "not told" for layer in layers)
    return dict(counted.most_common())


def _row(layer: object) -> dict[str, str]:
    if not isinstance(layer, Mapping):
        return {"name": str(layer), "type": "", "precision": "", "output": ""}
    inputs = [_type_of(tensor) for tensor in layer.get("Inputs", ())]
    outputs = [_type_of(tensor) for tensor in layer.get("Outputs", ())]
    known = [tensor for tensor in (*inputs, *outputs) if tensor]
    narrow = [name for name in _NARROWEST if name in inputs]
    return {
        "name": str(layer.get("Name", "")),
        "type": str(layer.get("LayerType", "")),
        "precision": narrow[0] if narrow else (known[0] if known else ""),
        "output": outputs[0] if outputs else "",
    }


def _type_of(tensor: Mapping[str, object]) -> str:
    text = str(tensor.get("DataType") or tensor.get("Format/Datatype") or "").lower()
    return next((name for name, words in _WORDS if any(word in text for word in words)), "")
