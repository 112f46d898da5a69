"""Is a finished graph one that TensorRT builds, and builds well: asked without a GPU.

TensorRT's parser needs a CUDA device, so that on most machines a graph can't be tried. Each rule
here is a function over a graph's `Facts` that gives a `Finding`, one sentence, for each breach:

    lint_types.py   opset, operators, types, islands, precision, sums, constants
    lint_qdq.py     zero_points, scales, axes, inputs, outputs, sizes, widths, attention

What no rule can tell is which kernels TensorRT picks and how fast they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from bertcompress.graph.tensorrt import lint_qdq, lint_types
from bertcompress.graph.tensorrt.lint_facts import Facts, Finding
from bertcompress.graph.tensorrt.target import Target

if TYPE_CHECKING:
    import onnx

RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    lint_types.opset,
    lint_types.operators,
    lint_types.types,
    lint_types.islands,
    lint_types.precision,
    lint_types.sums,
    lint_types.constants,
    lint_qdq.zero_points,
    lint_qdq.scales,
    lint_qdq.axes,
    lint_qdq.inputs,
    lint_qdq.outputs,
    lint_qdq.sizes,
    lint_qdq.widths,
    lint_qdq.attention,
)


def lint(
    graph: onnx.ModelProto,
    target: Target,
    *,
    quantized: Iterable[str] = (),
    longest: int | None = None,
) -> tuple[Finding, ...]:
    """Checks a graph against all rules.

    Args:
        graph: As it will be given to TensorRT; it is not changed.
        target: The versions that shall read it.
        quantized: The products that have to be quantized, by node name.
        longest: The longest text that the engine is for, in tokens; None if it is not known.

    Returns:
        The breaches: errors first, then what is only slow, each in the order of the rules.
    """
    facts = Facts(graph, target, frozenset(quantized), longest)
    found = [finding for rule in RULES for finding in rule(facts)]
    return tuple(sorted(found, key=lambda finding: finding.severity != "error"))
