"""Which operator of a graph that OpenVINO compiled is which module's product.

A product is a ``FullyConnected`` whose second input leads back to a constant that is still called
after the module (`bertcompress.graph.tidy`), or that stands for a node of that name. Attention is
compiled into one operator that stands for the graph's, and is called by the product that made its
first input. The precision is what the compiled graph multiplies: the types of the two inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bertcompress.graph.tidy import WEIGHT_SUFFIX
from bertcompress.runtimes.openvino.runtime import RanOperator

_TYPES = {
    "f32": "float32",
    "bf16": "bfloat16",
    "f16": "float16",
    "u8": "uint8",
    "i8": "int8",
    "u4": "uint4",
    "i4": "int4",
}
_PRODUCTS = ("FullyConnected", "MatMul")
_ATTENTION = "ScaledDotProductAttention"
_ATTENTION_KINDS = ("Subgraph", "MatMul", "MHA", _ATTENTION)

ByName = Mapping[str, RanOperator]


def products_of(
    compiled: Sequence[RanOperator], modules: Mapping[str, str]
) -> dict[str, tuple[str, str, bool]]:
    """Returns module, precision, and whether it is attention, of each operator that is a product.

    Args:
        compiled: The compiled graph.
        modules: The module of each node of the given graph that is a product or adds its bias.
    """
    by_name = {node.name: node for node in compiled}
    products = {}
    for node in compiled:
        types = [_TYPES.get(kind, kind) for _, kind in node.inputs[:2]]
        if node.seconds is None or len(types) < 2:
            continue
        precision = types[0] if types[0] == types[1] else f"{types[0]} x {types[1]}"
        if node.kind in _ATTENTION_KINDS and any(_ATTENTION in name for name in node.stands_for):
            products[node.name] = _holder(node, by_name, modules), precision, True
        elif node.kind in _PRODUCTS:
            products[node.name] = _module(node, by_name, modules), precision, False
    return products


def _module(product: RanOperator, by_name: ByName, modules: Mapping[str, str]) -> str:
    """Follows the weight back to its constant; else takes what the product stands for."""
    name = product.inputs[1][0]
    while WEIGHT_SUFFIX not in name and name in by_name and by_name[name].inputs:
        name = by_name[name].inputs[0][0]
    if WEIGHT_SUFFIX in name:
        return name.partition(WEIGHT_SUFFIX)[0]
    known = (modules[name] for name in (product.name, *product.stands_for) if name in modules)
    return next(known, product.name)


def _holder(attention: RanOperator, by_name: ByName, modules: Mapping[str, str]) -> str:
    name = attention.inputs[0][0]
    while name in by_name and by_name[name].inputs:
        if by_name[name].kind in _PRODUCTS:
            module = _module(by_name[name], by_name, modules)
            return module.rpartition(".")[0] or attention.name
        name = by_name[name].inputs[0][0]
    return attention.name
