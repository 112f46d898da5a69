"""The lint's rules about Q/DQ pairs: symmetric, constant, on all inputs of products and only there.

Source: https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/work-with-quantized-types.html,
``QuantDequantLinearHelper`` of https://github.com/onnx/onnx-tensorrt; the sizes and the gates of
attention are those of NVIDIA's own quantizer (``modelopt/onnx/quantization/graph_utils.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bertcompress.graph.tensorrt.lint_facts import FP8, INT8, QUANTIZED, Facts, Finding

if TYPE_CHECKING:
    import onnx

SMALLEST = 16
"""Products with fewer rows or columns of weights stay in half precision."""

LONGEST_INT8 = 512
"""With longer texts TensorRT fuses no INT8 attention, for accuracy."""

FP8_HEADS = (9, 256)
"""The smallest and largest head that FP8 attention is fused for."""

STEPS = {INT8: 32, FP8: 16}
"""Widths that tensor cores take without padding, by type; half precision takes 8."""

HALF_STEP = 8


def zero_points(facts: Facts) -> Iterator[Finding]:
    """Zero points are constants, zero, of INT8 or FP8."""
    for node in facts.quantizers():
        name = node.input[2] if len(node.input) > 2 else ""
        values = facts.values_of(name)
        if values is None:
            what = "is not a constant" if name else "is missing, which means unsigned integers"
        elif facts.type_of(name) not in QUANTIZED:
            what = f"is of the type {values.dtype}; TensorRT quantizes to INT8 and FP8"
        elif np.any(values.astype(np.float32) != 0):
            what = (
                f"is {values.astype(np.float32).ravel()[0]:g}; TensorRT is symmetric, it must be 0"
            )
        else:
            continue
        yield _error("zero point", node, f"the zero point of {node.name} {what}")


def scales(facts: Facts) -> Iterator[Finding]:
    """Scales are constants, positive, finite, as many as zero points, of the graph's own type."""
    for node in facts.quantizers():
        values = facts.values_of(node.input[1])
        if values is None:
            yield _error("scale", node, f"the scale of {node.name} is not a constant")
            continue
        numbers = values.astype(np.float32)
        if not (np.isfinite(numbers).all() and (numbers > 0).all()):
            yield _error("scale", node, f"a scale of {node.name} is not a number above 0")
        zeros = facts.values_of(node.input[2]) if len(node.input) > 2 else None
        if zeros is not None and zeros.size != values.size:
            text = f"{node.name} has {values.size} scales and {zeros.size} zero points"
            yield _error("scale", node, text)
        given = facts.type_of(node.input[0])
        if node.op_type == "QuantizeLinear" and given != facts.type_of(node.input[1]):
            text = f"the scale of {node.name} is of another type than what it quantizes"
            yield _error("scale", node, text)


def axes(facts: Facts) -> Iterator[Finding]:
    """Activations have one scale; a weight ``[in, out]`` has one, or one an output channel."""
    for node in facts.quantizers():
        scale = facts.values_of(node.input[1])
        source = facts.source_of(node)
        if scale is None or scale.size == 1:
            continue
        count = scale.size
        if source not in facts.constants:
            text = f"the activation {source} has {count} scales; TensorRT takes one a tensor"
            yield _error("axis", node, text)
            continue
        axis = next((int(one.i) for one in node.attribute if one.name == "axis"), 1)
        shape = facts.shape_of(source)
        if axis != len(shape) - 1 or shape[axis] != count:
            text = (
                f"{node.name} has {count} scales along axis {axis} of {list(shape)}; they belong "
                f"to the output channels, axis {len(shape) - 1}"
            )
            yield _error("axis", node, text)


def inputs(facts: Facts) -> Iterator[Finding]:
    """All inputs of a product are quantized or none, and of each that was asked for, all."""
    for node in facts.products():
        count = sum(facts.dequantized(name) is not None for name in node.input[:2])
        if count == 1:
            text = f"{node.name} has one quantized input of two; it runs in half precision so"
            yield _error("inputs", node, text)
        if count == 0 and node.name in facts.quantized:
            text = f"{node.name} was to be quantized, but none of its inputs is"
            yield _error("inputs", node, text)
    names = {node.name for node in facts.products()}
    for missing in sorted(facts.quantized - names):
        sentence = f"there is no product {missing} in the graph, which was to be quantized"
        yield Finding("inputs", "error", missing, sentence)


def outputs(facts: Facts) -> Iterator[Finding]:
    """What is dequantized goes into products alone: nothing else is quantized, nor any output."""
    for node in facts.quantizers():
        wanted = "DequantizeLinear" if node.op_type == "QuantizeLinear" else "MatMul"
        for reader in facts.readers.get(node.output[0], []):
            if reader.op_type != wanted:
                text = f"{node.name} goes into {reader.op_type} {reader.name}, not into a {wanted}"
                yield _error("outputs", node, text)


def sizes(facts: Facts) -> Iterator[Finding]:
    """Quantized weights have 16 rows and columns or more, and their product more than one row."""
    for node in facts.products():
        found = facts.dequantized(node.input[1])
        weight = facts.weight_of(node)
        if found is None or weight is None:
            continue
        shape = facts.shape_of(weight)
        if any(size is not None and size < SMALLEST for size in shape):
            text = f"{node.name} is quantized, but its weight is {list(shape)}, below {SMALLEST}"
            yield _error("sizes", node, text)
        if len(facts.shape_of(node.input[0])) == 2:
            text = f"{node.name} is quantized, but has one row a text: a vector product at batch 1"
            yield _error("sizes", node, text)


def widths(facts: Facts) -> Iterator[Finding]:
    """Widths are multiples of what a tensor core takes; others are padded, slow but right."""
    for node in facts.products():
        weight = facts.weight_of(node)
        if weight is None:
            continue
        found = facts.dequantized(node.input[1])
        step = STEPS.get(facts.type_of(found.input[0]), HALF_STEP) if found else HALF_STEP
        odd = [str(size) for size in facts.shape_of(weight) if size is not None and size % step]
        if odd:
            text = (
                f"{node.name} has a width of {' and '.join(odd)}, no multiple of {step}; it runs "
                "as if it were padded to the next"
            )
            yield Finding("widths", "slow", node.name, text)


def attention(facts: Facts) -> Iterator[Finding]:
    """Products of activations are quantized only where TensorRT fuses them."""
    for node in facts.products():
        found = facts.dequantized(node.input[1])
        if found is None or facts.weight_of(node) is not None:
            continue
        kind, shape = facts.type_of(found.input[0]), facts.shape_of(node.input[1])
        if kind == INT8 and (facts.longest is None or facts.longest > LONGEST_INT8):
            text = f"{node.name} is INT8 attention for texts past {LONGEST_INT8} tokens"
            yield _error("attention", node, text)
        fixed = [size for size in shape[-2:] if size is not None]
        if kind == FP8 and not all(FP8_HEADS[0] <= size <= FP8_HEADS[1] for size in fixed):
            text = (
                f"{node.name} is FP8 attention with heads of {fixed[0]}; TensorRT fuses "
                f"{FP8_HEADS[0]} to {FP8_HEADS[1]}"
            )
            yield _error("attention", node, text)
        if 1 in fixed:
            yield _error("attention", node, f"{node.name} is a product with a vector, quantized")


def _error(rule: str, node: onnx.NodeProto, sentence: str) -> Finding:
    return Finding(rule, "error", str(node.name), sentence)
