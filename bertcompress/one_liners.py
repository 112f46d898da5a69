"""Two functions for those who want one line; the passes do the work.

small = prune_model(model, target="head", threshold=0.3, data=texts)
tiny = quantize_model(model, num_bits=8)
"""

from __future__ import annotations

from typing import Literal, cast

from bertcompress.artifacts.artifact import Artifact, Checkpoint, OnnxModel
from bertcompress.errors import UsageError, did_you_mean
from bertcompress.examples import Dataset, Example
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune_units import PruneFfn, PruneHeads
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.pipeline import Pipeline
from bertcompress.progress import Progress, silent

Target = Literal["head", "ffn"]
TARGETS: tuple[Target, ...] = ("head", "ffn")


def prune_model(
    model: Checkpoint,
    *,
    target: Target = "head",
    threshold: float,
    data: Dataset | tuple[Example, ...] = (),
    progress: Progress = silent,
) -> Checkpoint:
    """Removes heads or feed-forward neurons.

    Args:
        model: From `bertcompress.load`.
        target: ``head`` or ``ffn``.
        threshold: The fraction of them to remove, [0, 1).
        data: What importance is measured on; without any, the weights' size decides.
        progress: Is told how far it is.

    Returns:
        The smaller checkpoint; the given one is left as it was.

    Raises:
        UsageError: If the target or the threshold can't be meant.
        PassError: If the model is a graph.
    """
    examples = data.examples if isinstance(data, Dataset) else tuple(data)
    if target not in TARGETS:
        raise UsageError(
            f"target must be one of {', '.join(TARGETS)}, got {target!r}"
            + did_you_mean(target, TARGETS)
        )
    prune = PruneHeads(threshold) if target == "head" else PruneFfn(threshold)
    return prune(model, Context(examples, progress=progress))


def quantize_model(model: Artifact, *, num_bits: int = 8, progress: Progress = silent) -> OnnxModel:
    """Quantizes a model, exporting it first if it is a checkpoint.

    With 8 bits, ranges are found at run time (`QuantizeDynamic`), which needs no data; the pass
    `QuantizeStatic` takes calibrated ones. With 4 bits, weights are packed in blocks.

    Args:
        model: From `bertcompress.load`.
        num_bits: 8 or 4.
        progress: Is told how far it is.

    Raises:
        UsageError: If the bits can't be meant, or the graph is quantized already.
    """
    if num_bits not in (4, 8):
        raise UsageError(f"num_bits must be 8 or 4, got {num_bits}")
    quantize: Pass = QuantizeDynamic() if num_bits == 8 else QuantizeWeights(bits=4)
    passes: tuple[Pass, ...] = (quantize,)
    if isinstance(model, Checkpoint):
        passes = (ExportOnnx(), quantize)
    return cast("OnnxModel", Pipeline(passes)(model, progress=progress))
