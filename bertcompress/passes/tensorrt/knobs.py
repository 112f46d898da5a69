"""The builder's settings, what a graph asks of it, and what the installed TensorRT has of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.engine_record import PACKED, Hardware, Profile
from bertcompress.errors import BuildError, MissingError, UsageError
from bertcompress.graph.tensorrt.lint import lint
from bertcompress.graph.tensorrt.lint_facts import BFLOAT16, FLOAT16
from bertcompress.graph.tensorrt.target import TARGETS, Target
from bertcompress.passes.tensorrt.profiles import Goal

_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


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
        hardware: Which other GPUs can run it, one of
            `bertcompress.artifacts.engine_record.HARDWARE`.
    """

    workspace_bytes: int | None = None
    optimization_level: int | None = None
    max_aux_streams: int | None = None
    max_num_tactics: int | None = None
    tf32: bool = False
    strip: bool = False
    version_compatible: bool = False
    hardware: Hardware = "none"


@dataclass(frozen=True)
class Precisions:
    """What a graph itself asks for, for a TensorRT whose networks are not strongly typed."""

    int8: bool
    fp16: bool


def is_strongly_typed(trt: ModuleType) -> bool:
    """Whether the installed TensorRT takes precision from the graph alone."""
    return hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def target_of(trt: ModuleType) -> Target:
    """Returns which graphs the installed TensorRT reads, by what its networks are made of."""
    network = trt.INetworkDefinition
    if is_strongly_typed(trt):
        return TARGETS["10.14" if hasattr(network, "add_attention") else "10.0"]
    return TARGETS["8.6" if hasattr(network, "add_normalization") else "8.5"]


def configure(
    trt: ModuleType, config: Any, knobs: Knobs, precisions: Precisions
) -> tuple[str, ...]:
    """Sets what was asked for; returns the precision flags that the graph asked for.

    Raises:
        UsageError: A setting is one that this TensorRT does not have.
    """
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


def precisions_of(model: OnnxModel) -> Precisions:
    """Returns what a graph asks for, for a TensorRT whose builder has to be told by flags.

    Q/DQ pairs ask for INT8 and tensors of half precision for FP16. Graphs for version 8 are
    float32 all through, so there the step that made them says that the rest is half precision.
    """
    for_tensorrt = any(step.name == "QuantizeTensorrt" for step in model.history)
    half = any(weight.data_type in (FLOAT16, BFLOAT16) for weight in model.graph.graph.initializer)
    quantized = any(node.op_type in _QUANTIZERS for node in model.graph.graph.node)
    return Precisions(int8=quantized, fp16=half or for_tensorrt)


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
    longest = max(profile.most[1] for profile in profiles)
    breaches = [
        finding
        for finding in lint(model.graph, target, longest=longest)
        if finding.severity == "error"
        and (finding.rule != "precision" or precisions.int8 or precisions.fp16)
    ]
    if breaches:
        first = breaches[0]
        raise BuildError(
            f"the graph is not one that TensorRT {trt.__version__} builds as it is meant "
            f"({len(breaches)} breaches); first {first.rule}: {first.sentence}; make the graph "
            f"with quantize-tensorrt and target {target.name}"
        )


def _require(trt: ModuleType, there: bool, name: str) -> None:
    if not there:
        raise UsageError(
            f"TensorRT {trt.__version__} has no {name.replace('_', ' ')}; leave it out"
        )
