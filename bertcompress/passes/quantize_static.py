"""INT8 with ranges found beforehand: the fastest on long texts, and the same for any batch mates.

Placement (Q/DQ form, which ONNX Runtime fuses into ``MatMulIntegerToFloat``):

* Inputs of **weight products only**: LayerNorm, softmax, GELU, residual additions and the products
  of two activations stay in float. Quantizing those too breaks the fusions and costs accuracy.
* Activations U8, asymmetric, one scale a tensor; weights S8, symmetric, one scale an output
  channel. With S8 activations ONNX Runtime on x64 leaves most products in float.
* No quantized output and a float bias: the integer product's result goes straight into the float
  addition it is fused with.
* Query, key and value read one quantized tensor: it is quantized once.
* The ranges do not depend on the batch, so neither do the answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifact import Artifact, OnnxModel, StepTimer
from bertcompress.calibration_table import CalibrationTable
from bertcompress.errors import CalibrationError
from bertcompress.graph.edit import (
    add_initializer,
    copy_of,
    drop_unused_initializers,
    initializer_values,
)
from bertcompress.graph.embeddings import quantize_embeddings
from bertcompress.graph.products import WeightProduct
from bertcompress.numerics.affine import choose_asymmetric_u8, choose_symmetric_s8, quantize_s8
from bertcompress.numerics.granularity import PerAxis
from bertcompress.passes.base import graph_for
from bertcompress.passes.quantized import HEADS, check_patterns, finished, split_products
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class QuantizeStatic:
    """Quantizes weights and activations to 8 bits with calibrated ranges.

    Attributes:
        calibrate: Finds the ranges of a graph: `bertcompress_calibration.Calibrate`, or a saved
            table (`bertcompress_calibration.SavedTable`).
        embeddings: Whether the embedding tables become INT8 too.
        keep_float: Modules that stay in float, names or patterns (``bert.encoder.layer.0.*``).
        seed: Draws the inputs on which the drift is measured.
    """

    calibrate: Callable[[OnnxModel], CalibrationTable]
    embeddings: bool = True
    keep_float: tuple[str, ...] = HEADS
    seed: int = 0

    consumes = "onnx"
    produces = "onnx"

    def __post_init__(self) -> None:
        check_patterns(self.keep_float)

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> OnnxModel:
        """Returns the quantized graph.

        Raises:
            PassError: If the artifact is a checkpoint.
            UsageError: If `keep_float` fits nothing, or nothing is left to quantize.
            CalibrationError: If the table lacks a product's range, or is of other weights.
            FusionAuditError: If ONNX Runtime would run a product in float unasked.
            ParityError: If the answers collapsed.
        """
        model = graph_for(self, artifact)
        quantized, stay = split_products(model, self.keep_float)
        timer = StepTimer(model)
        table = self.calibrate(model)
        progress("quantize", 0, 2)
        graph = copy_of(model.graph)
        insert_qdq(graph, quantized, table)
        tables = quantize_embeddings(graph) if self.embeddings else ()
        progress("quantize", 1, 2)
        result = finished(
            self,
            model,
            graph,
            timer=timer,
            quantized=quantized,
            stay=stay,
            seed=self.seed,
            details={
                "calibration": {
                    "method": table.method,
                    "samples": len(table.sample_ids),
                    "seed": table.seed,
                    "data": table.data_fingerprint,
                },
                "int8 embedding tables": ", ".join(tables) or "none",
            },
        )
        progress("quantize", 2, 2)
        return result


def insert_qdq(
    graph: onnx.ModelProto, products: tuple[WeightProduct, ...], table: CalibrationTable
) -> None:
    """Puts Q/DQ pairs before the products, and their weights as int8, in place.

    Raises:
        CalibrationError: If two products of one tensor have different ranges.
    """
    from onnx import helper

    dequantized: dict[str, tuple[str, tuple[float, float]]] = {}
    before: dict[str, list[onnx.NodeProto]] = {}
    inputs: dict[str, tuple[str, str]] = {}
    for product in products:
        found = table.range_of(product.module)
        new: list[onnx.NodeProto] = []
        if product.tensor not in dequantized:
            name = f"{product.tensor}.dq"
            scale, zero_point = choose_asymmetric_u8(found.low, found.high)
            s = add_initializer(graph, f"{product.tensor}.scale", np.asarray(scale))
            z = add_initializer(graph, f"{product.tensor}.zero_point", np.asarray(zero_point))
            q = f"{product.tensor}.q"
            new.append(helper.make_node("QuantizeLinear", [product.tensor, s, z], [q], q))
            new.append(helper.make_node("DequantizeLinear", [q, s, z], [name], name))
            dequantized[product.tensor] = (name, (found.low, found.high))
        activation, used = dequantized[product.tensor]
        if used != (found.low, found.high):
            raise CalibrationError(
                f"the table gives {product.module} another range than its neighbour of the same "
                "input; calibrate again"
            )
        weight, node = _dequantized_weight(graph, product.weight)
        before[product.node] = [*new, node]
        inputs[product.node] = (activation, weight)
    nodes: list[onnx.NodeProto] = []
    for node in graph.graph.node:
        nodes.extend(before.get(node.name, ()))
        if node.name in inputs:
            node.input[0], node.input[1] = inputs[node.name]
        nodes.append(node)
    kept = list(nodes)
    del graph.graph.node[:]
    graph.graph.node.extend(kept)
    drop_unused_initializers(graph)


def _dequantized_weight(graph: onnx.ModelProto, name: str) -> tuple[str, onnx.NodeProto]:
    """Adds the int8 weight ``[in, out]`` with a scale an output channel; returns its float name."""
    from onnx import helper

    weight = cast("NDArray[np.float32]", initializer_values(graph, name))
    scale = choose_symmetric_s8(weight, PerAxis(1))
    integers = add_initializer(graph, f"{name}.int8", quantize_s8(weight, scale, PerAxis(1)))
    scales = add_initializer(graph, f"{name}.scale", scale)
    zeros = add_initializer(graph, f"{name}.zero_point", np.zeros(scale.shape, dtype=np.int8))
    out = f"{name}.dq"
    return out, helper.make_node("DequantizeLinear", [integers, scales, zeros], [out], out, axis=1)
