"""Which TensorRT versions can read which graph.

    target   versions        opset   attention      layer norm   precision
    10.14    10.14 .. 11.x   23      ``Attention``  operator     in the graph (strongly typed)
    10.0     10.0 .. 11.x    20      products       operator     in the graph (strongly typed)
    8.6      8.6 .. 10.x     17      products       operator     the builder's flags
    8.5      8.5 .. 10.x     16      products       products     the builder's flags

From version 10 on a graph says in which type each operator computes; 11 knows nothing else. For
version 8 the graph stays float32, FP16 and INT8 are flags of the builder, and weights stay float32
too with Q/DQ pairs of their own: its documentation refuses models that hold INT8 tensors.

Nothing of this was built by TensorRT: the table follows the parser's list of operators in each
release and its source, and the lint (`lint`) holds graphs to it.

Source: https://github.com/onnx/onnx-tensorrt, docs/operators.md and docs/Changelog.md of the
releases 8.5, 8.6, 10.0, 10.14
"""

from __future__ import annotations

from dataclasses import dataclass

from bertcompress.errors import UsageError, did_you_mean

_ALWAYS = (
    *("Add", "And", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "CumSum"),
    *("DequantizeLinear", "Div", "Equal", "Erf", "Expand", "Flatten", "Gather", "Gemm", "Greater"),
    *("Identity", "Less", "MatMul", "Max", "Min", "Mul", "Neg", "Not", "Or", "Pow"),
    *("QuantizeLinear", "Range", "ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape"),
    *("Shape", "Sigmoid", "Slice", "Softmax", "Split", "Sqrt", "Squeeze", "Sub", "Tanh"),
    *("Transpose", "Unsqueeze", "Where"),
)
"""What an encoder can be made of and the parser of 8.5 reads already."""


OLDEST_OPSET = 13
"""Before it, QuantizeLinear knew one scale a tensor only."""


@dataclass(frozen=True)
class Target:
    """A range of TensorRT versions.

    Attributes:
        name: What a setting calls it.
        versions: Who can read the graph, for people.
        opset: The operator set that the graph is written in.
        strongly_typed: Whether the graph says the precision; else the builder's flags do.
        operators: What may be in the graph.
    """

    name: str
    versions: str
    opset: int
    strongly_typed: bool
    operators: frozenset[str]

    @property
    def build(self) -> str:
        """How an engine has to be built from the graph."""
        if self.strongly_typed:
            return "strongly typed; the precision is in the graph, no flags"
        return "weakly typed, with the builder flags FP16 and INT8"


TARGETS = {
    one.name: one
    for one in (
        Target(
            "10.14",
            "10.14 and newer, 11 too",
            23,
            True,
            frozenset((*_ALWAYS, "LayerNormalization", "Gelu", "Attention")),
        ),
        Target(
            "10.0",
            "10.0 and newer, 11 too",
            20,
            True,
            frozenset((*_ALWAYS, "LayerNormalization", "Gelu")),
        ),
        Target("8.6", "8.6 to 10", 17, False, frozenset((*_ALWAYS, "LayerNormalization"))),
        Target("8.5", "8.5 to 10", 16, False, frozenset(_ALWAYS)),
    )
}


def target_named(name: str) -> Target:
    """Returns the target of a name.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in TARGETS:
        raise UsageError(
            f"target must be one of {', '.join(TARGETS)} (the oldest TensorRT that shall read the "
            f"graph), got {name!r}{did_you_mean(str(name), TARGETS)}"
        )
    return TARGETS[name]
