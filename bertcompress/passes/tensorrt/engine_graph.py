"""What an engine's graph has to be: one that the installed TensorRT builds as it is meant."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.engine_record import PACKED, Profile
from bertcompress.errors import BuildError, MissingError
from bertcompress.graph.tensorrt.lint import lint
from bertcompress.graph.tensorrt.lint_facts import BFLOAT16, FLOAT16
from bertcompress.passes.tensorrt.knobs import Precisions, target_of
from bertcompress.passes.tensorrt.profiles import Goal

_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


def precisions_of(model: OnnxModel) -> Precisions:
    """Returns what a graph asks for, for a TensorRT whose builder has to be told by flags.

    Q/DQ pairs ask for INT8 and tensors of half precision for FP16. Graphs for version 8 are
    float32 all through, so there the step that made them says that the rest is half precision.
    """
    made = any(step.name == "QuantizeTensorrt" for step in model.history)
    half = any(one.data_type in (FLOAT16, BFLOAT16) for one in model.graph.graph.initializer)
    quantized = any(node.op_type in _QUANTIZERS for node in model.graph.graph.node)
    return Precisions(int8=quantized, fp16=half or made)


def check_goal(trt: ModuleType, goal: Goal) -> None:
    """Fails with a MissingError if the installed TensorRT has no attention over packed texts."""
    if goal == PACKED and not hasattr(trt, "AttentionIOForm"):
        raise MissingError(
            f"a packed engine needs TensorRT 11.1 or newer, found {trt.__version__}; install that, "
            "or build one for throughput"
        )


def check_graph(trt: ModuleType, model: OnnxModel, profiles: Sequence[Profile]) -> None:
    """Holds a graph to the rules of the lint for what is installed.

    A graph of float32 alone is let through: it is the reference that others are measured by.

    Raises:
        BuildError: With the first breach, and what to type.
    """
    target, precisions = target_of(trt), precisions_of(model)
    found = [
        one
        for one in lint(model.graph, target, longest=max(one.most[1] for one in profiles))
        if one.severity == "error"
        and (one.rule != "precision" or precisions.int8 or precisions.fp16)
    ]
    if found:
        raise BuildError(
            f"the graph is not one that TensorRT {trt.__version__} builds as it is meant "
            f"({len(found)} breaches); first {found[0].rule}: {found[0].sentence}; make the graph "
            f"with quantize-tensorrt and target {target.name}"
        )
