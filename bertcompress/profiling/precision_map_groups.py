"""What ran besides the products, put together by what it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bertcompress.profiling.executed import RanNode

GROUPS: Mapping[str, tuple[str, ...]] = {
    "LayerNorm and residual": (
        "LayerNormalization",
        "SkipLayerNormalization",
        "EmbedLayerNormalization",
        "QEmbedLayerNormalization",
        "MVN",
    ),
    "activation function": ("BiasGelu", "FastGelu", "Gelu", "QuickGelu", "Erf", "Tanh", "Relu"),
    "softmax": ("Softmax", "QLinearSoftmax"),
    "quantize, dequantize": (
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "FakeQuantize",
    ),
    "gather": ("Gather", "GatherBlockQuantized", "GatherElements"),
    "element by element": ("Add", "Sub", "Mul", "Div", "QLinearAdd", "Eltwise"),
    "transpose, reshape": ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten"),
}
"""What is not a product, by what it is for; the rest is `OTHER`."""

OTHER, GONE = "masks, shapes, casts", "products that are gone"


@dataclass(frozen=True)
class MappedGroup:
    """What ran besides, put together by what it is for.

    Attributes:
        name: What it is for.
        operators: The operators and how many of each, ``SkipLayerNormalization 12``.
        before_s: Sum of the medians in the float graph, None where there is none.
        after_s: Sum of the medians.
    """

    name: str
    operators: str
    before_s: float | None
    after_s: float


def groups(
    nodes: Sequence[RanNode], before: Sequence[RanNode] | None, gone: Sequence[RanNode]
) -> tuple[MappedGroup, ...]:
    """Puts operators together.

    Args:
        nodes: Those that ran; products are passed over.
        before: Those of the float graph, None without one.
        gone: Its products that the graph no longer has.
    """
    own, old = _grouped(nodes), _grouped(before or ())
    if gone:
        old[GONE] = list(gone)
    names = [name for name in (*GROUPS, OTHER, GONE) if name in {**own, **old}]
    return tuple(
        MappedGroup(
            name=name,
            operators=_counted(own.get(name, [])),
            before_s=None if before is None else summed(old.get(name, [])),
            after_s=summed(own.get(name, [])),
        )
        for name in names
    )


def _grouped(nodes: Sequence[RanNode]) -> dict[str, list[RanNode]]:
    names = {kind: name for name, kinds in GROUPS.items() for kind in kinds}
    found: dict[str, list[RanNode]] = {}
    for node in nodes:
        if node.module is None:
            found.setdefault(names.get(node.kind, OTHER), []).append(node)
    return found


def _counted(nodes: Sequence[RanNode]) -> str:
    counts: dict[str, int] = {}
    for node in nodes:
        counts[node.kind] = counts.get(node.kind, 0) + 1
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{kind} {count}" for kind, count in ordered)


def summed(nodes: Sequence[RanNode]) -> float:
    """Returns the sum of the operators' median seconds."""
    return sum(median(node.seconds) for node in nodes)
