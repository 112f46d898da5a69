"""The passes of an export: what the command ``export`` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from bertcompress.errors import UsageError
from bertcompress.passes.base import AnyPass
from bertcompress.passes.export.export_onnx import Exporter, ExportOnnx
from bertcompress.passes.export.halve_precision import HalfPrecision, HalvePrecision
from bertcompress.passes.export.write_ort_format import WriteOrtFormat
from bertcompress.recipes.recipe import or_default

FORMATS = ("onnx", "ort")


@dataclass(frozen=True)
class ExportOptions:
    """What is asked of an export; None leaves a choice to the passes.

    Attributes:
        exporter: ``dynamo`` or ``optimum``.
        opset: The ONNX operator set.
        tolerance: The largest difference to torch that is allowed, relative.
        precision: ``fp32``, ``fp16`` or ``bf16``.
        form: One of `FORMATS`.
        pooled: Whether an embedding's pooling and what follows it are in the graph.
    """

    exporter: str | None = None
    opset: int | None = None
    tolerance: float | None = None
    precision: str = "fp32"
    form: str = "onnx"
    pooled: bool = False

    def __post_init__(self) -> None:
        if self.form not in FORMATS:
            raise UsageError(f"format must be {' or '.join(FORMATS)}, got {self.form!r}")

    @property
    def mobile(self) -> bool:
        """Whether ORT's own format is written, which a graph can be turned into too."""
        return self.form == "ort"


def export_passes(
    asked: ExportOptions, *, model: str, is_graph: bool, seed: int = 0
) -> tuple[AnyPass, ...]:
    """Returns the passes that do what is asked.

    Args:
        asked: What is asked.
        model: What messages call the model.
        is_graph: Whether it is exported already.
        seed: For the inputs that answers are compared on.

    Raises:
        UsageError: If it can't be meant.
    """
    passes: list[AnyPass] = []
    if not (asked.mobile and is_graph):
        passes.append(
            ExportOnnx(
                exporter=cast("Exporter", or_default(asked.exporter, ExportOnnx.exporter)),
                opset=asked.opset,
                tolerance=or_default(asked.tolerance, ExportOnnx.tolerance),
                seed=seed,
                pooled=asked.pooled,
            )
        )
    elif asked.exporter is not None or asked.opset is not None:
        raise UsageError(f"{model} is a graph already; leave --exporter and --opset out")
    elif asked.pooled:
        raise UsageError(f"{model} is a graph already; leave --pooled out")
    if asked.mobile:
        tolerance = or_default(asked.tolerance, WriteOrtFormat.tolerance)
        passes.append(WriteOrtFormat(tolerance=tolerance, seed=seed))
    if asked.precision != "fp32":
        if asked.mobile:
            raise UsageError(
                "precision is for GPUs and format ort for mobile builds; leave one out"
            )
        passes.append(HalvePrecision(cast("HalfPrecision", asked.precision), seed=seed))
    return tuple(passes)
