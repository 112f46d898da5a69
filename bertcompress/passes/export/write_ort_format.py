"""Adds the graph in ORT format, which ONNX Runtime's mobile builds read.

``onnx/model.ort`` lies beside ``onnx/model.onnx`` and answers the same: it is the graph after
those of ONNX Runtime's fusions that hold on any CPU, as a flatbuffer that is mapped, not parsed.
Layouts that only this machine's CPU would want are left to the runtime that loads it.

Source: https://onnxruntime.ai/docs/performance/model-optimizations/ort-format-models.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from bertcompress.artifacts.artifact import Kind, OnnxModel
from bertcompress.bert.families import longest_text
from bertcompress.errors import ParityError, PassError, RunError, UsageError
from bertcompress.parity.outputs import ParityFigures, compare_outputs, parity_feeds
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.runtimes.ort.runtime import ort_format, run_graph

ORT_NAME = "onnx/model.ort"


@dataclass(frozen=True)
class OrtFormatDetails:
    """What writing ORT format tells: how far its answers are from the graph's, and its size."""

    parity: ParityFigures
    bytes: int


@dataclass(frozen=True)
class WriteOrtFormat(Pass[OnnxModel, OnnxModel]):
    """Writes the graph in ORT format too, and checks that it answers the same.

    Attributes:
        tolerance: The largest difference to the graph that is allowed, relative to the largest
            output (at least 1).
        seed: Draws the inputs of the check.
    """

    tolerance: float = 1e-4
    seed: int = 0

    consumes: ClassVar[Kind] = "onnx"
    produces: ClassVar[Kind] = "onnx"

    def __post_init__(self) -> None:
        if self.tolerance <= 0:
            raise UsageError(f"tolerance must be above 0, got {self.tolerance:g}")

    def apply(self, model: OnnxModel, context: Context) -> tuple[OnnxModel, OrtFormatDetails]:
        """Returns the graph with the other file among its side files.

        Raises:
            PassError: If the artifact has 4-bit tables, which the format lacks.
            ParityError: If the file answers differently.
        """
        progress = context.progress
        progress("ort format", 0, 2)
        content = ort_format(model.graph)
        progress("ort format", 1, 2)
        config = model.config
        feeds = parity_feeds(
            vocabulary=config.vocab_size, longest=longest_text(config), seed=self.seed
        )
        try:
            got = run_graph(content, list(feeds))
        except RunError as error:
            raise PassError(
                "this graph can't be read back from ORT format, which has no tables of 4 bits; "
                "quantize with --no-embeddings, or take 8 bits; nothing was written"
            ) from error
        figures = compare_outputs(run_graph(model.graph, list(feeds)), got, feeds).figures
        allowed = self.tolerance * max(1.0, figures.largest_output)
        if figures.largest_difference > allowed:
            raise ParityError(
                f"the graph in ORT format answers differently: largest difference "
                f"{figures.largest_difference:.2e}, allowed is {allowed:.2e}; nothing was written"
            )
        result = replace(model, side_files={**model.side_files, ORT_NAME: content})
        progress("ort format", 2, 2)
        return result, OrtFormatDetails(figures, len(content))
