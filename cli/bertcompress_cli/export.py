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


def export(
    model: ModelArgument = None,
    *,
    exporter: Annotated[str | None, typer.Option(help="dynamo or optimum.")] = None,
    opset: Annotated[int | None, typer.Option(help="The ONNX operator set.")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Largest difference to torch that is allowed, relative.")
    ] = None,
    precision: Annotated[
        str,
        typer.Option(help="fp32, or for GPUs fp16 or bf16: what INT8 is compared with there."),
    ] = "fp32",
    task: Annotated[
        str | None, typer.Option(help="The task, if the model does not say it.")
    ] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Export to ONNX, and check that the answers are the same."""
    from bertcompress_cli.place import place_of
    from bertcompress_cli.recipe import StepSpec
    from bertcompress_cli.run_verb import run_verb, typed

    place = place_of("export", model, DataOptions(task=task), wants_checkpoint=True)
    steps = [StepSpec("export", typed(exporter=exporter, opset=opset, tolerance=tolerance))]
    if precision != "fp32":
        steps.append(StepSpec("halve-precision", {"precision": precision}))
    run_verb("export", place, steps, out=out, overwrite=overwrite, as_json=as_json)
