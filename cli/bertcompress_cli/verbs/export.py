"""``bertcompress export``: a checkpoint to an ONNX graph that answers the same."""

from __future__ import annotations

from typing import Annotated

import typer

from bertcompress_cli.options import (
    DataOptions,
    JsonOption,
    ModelArgument,
    OutOption,
    OverwriteOption,
)

_DETAILS = "Exporter"


def export(
    model: ModelArgument = None,
    *,
    exporter: Annotated[
        str | None,
        typer.Option(help="dynamo or optimum.", rich_help_panel=_DETAILS),
    ] = None,
    opset: Annotated[
        int | None,
        typer.Option(help="The ONNX operator set.", rich_help_panel=_DETAILS),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Largest difference to torch that is allowed, relative.", rich_help_panel=_DETAILS
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(help="fp32, or for GPUs fp16 or bf16: what INT8 is compared with there."),
    ] = "fp32",
    pooled: Annotated[
        bool,
        typer.Option(
            "--pooled",
            help="Embeddings: pooling, Dense and Normalize in the graph, as sentence_embedding.",
        ),
    ] = False,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="onnx, or ort: model.ort beside it, for mobile builds; then MODEL may be a graph.",
        ),
    ] = "onnx",
    task: Annotated[
        str | None, typer.Option(help="The task, if the model does not say it.")
    ] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Export to ONNX, and check that the answers are the same."""
    from bertcompress.recipes.apply_steps import is_graph
    from bertcompress.recipes.export_recipe import ExportOptions, export_passes
    from bertcompress_cli.make_artifact import run_verb
    from bertcompress_cli.place import place_of

    asked = ExportOptions(exporter, opset, tolerance, precision, form, pooled)
    place = place_of("export", model, DataOptions(task=task), wants_checkpoint=not asked.mobile)
    passes = export_passes(
        asked, model=place.model, is_graph=is_graph(place.model), seed=place.seed
    )
    run_verb("export", place, passes, out=out, overwrite=overwrite, as_json=as_json)
