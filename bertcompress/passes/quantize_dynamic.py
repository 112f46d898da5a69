"""INT8 with ranges found at run time: no calibration, the fastest on short texts.

Each activation's range is taken over the whole batch as it comes, so an answer can differ in the
last digits with what else is in its batch; `QuantizeStatic` has no such effect.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bertcompress.artifact import Artifact, Kind, OnnxModel, StepTimer
from bertcompress.graph.edit import copy_of
from bertcompress.graph.embeddings import quantize_embeddings
from bertcompress.passes.base import graph_for
from bertcompress.passes.quantized import (
    HEADS,
    check_patterns,
    finished,
    split_products,
    without_advice,
)
from bertcompress.progress import Progress, silent
from bertcompress.runtimes.ort_runtime import import_onnxruntime


@dataclass(frozen=True)
class QuantizeDynamic:
    """Quantizes weights to 8 bits, and activations as they come.

    Attributes:
        embeddings: Whether the embedding tables become INT8 too.
        keep_float: Modules that stay in float, names or patterns.
        seed: Draws the inputs on which the drift is measured.
    """

    embeddings: bool = True
    keep_float: tuple[str, ...] = HEADS
    seed: int = 0

    consumes: ClassVar[Kind] = "onnx"
    produces: ClassVar[Kind] = "onnx"

    def __post_init__(self) -> None:
        check_patterns(self.keep_float)

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> OnnxModel:
        """Returns the quantized graph; raises as `QuantizeStatic` does, without calibration."""
        import onnx

        model = graph_for(self, artifact)
        quantized, stay = split_products(model, self.keep_float)
        import_onnxruntime("quantizing")
        from onnxruntime.quantization import QuantType, quantize_dynamic

        timer = StepTimer(model)
        progress("quantize", 0, 2)
        with tempfile.TemporaryDirectory() as folder, without_advice():
            path = Path(folder) / "dynamic.onnx"
            # MatMul alone: by default the standard Attention would be rewritten, wrongly.
            quantize_dynamic(
                copy_of(model.graph),
                path,
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=[product.node for product in quantized],
            )
            graph = onnx.load_model(str(path))
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
            details={"int8 embedding tables": ", ".join(tables) or "none"},
        )
        progress("quantize", 2, 2)
        return result
