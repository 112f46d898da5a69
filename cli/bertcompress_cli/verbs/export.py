"""``bertcompress export``: a checkpoint to an ONNX graph that answers the same."""

from __future__ import annotations

from typing import Annotated

import typer

from bertcompress.errors import UsageError
from bertcompress_cli.options import (
    DataOptions,
    JsonOption,
    ModelArgument,
    OutOption,
    OverwriteOption,
)

FORMATS = ("onnx", "ort")


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
    from bertcompress.recipes.recipe import StepSpec
    from bertcompress_cli.make_artifact import run_verb, typed
    from bertcompress_cli.place import place_of

    if form not in FORMATS:
        raise UsageError(f"format must be {' or '.join(FORMATS)}, got {form!r}")
    mobile = form == "ort"
    place = place_of("export", model, DataOptions(task=task), wants_checkpoint=not mobile)
    exporting = typed(exporter=exporter, opset=opset, tolerance=tolerance)
    steps = [StepSpec("ort-format", typed(tolerance=tolerance))] if mobile else []
    if not (mobile and is_graph(place.model)):
        steps.insert(0, StepSpec("export", exporting))
    elif exporter is not None or opset is not None:
        raise UsageError(f"{place.model} is a graph already; leave --exporter and --opset out")
    if precision != "fp32":
        if mobile:
            raise UsageError(
                "precision is for GPUs and format ort for mobile builds; leave one out"
            )
        steps.append(StepSpec("halve-precision", {"precision": precision}))
    run_verb("export", place, steps, out=out, overwrite=overwrite, as_json=as_json)
