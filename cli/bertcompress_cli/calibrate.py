"""``bertcompress calibrate``: finds ranges on data and keeps them in a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertcompress_cli.options import (
    DataOptions,
    JsonOption,
    MaxLengthOption,
    ModelArgument,
    takes_data,
)


@takes_data
def calibrate(
    model: ModelArgument = None,
    *,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="TABLE", help="The file to write.")
    ] = Path("table.safetensors"),
    method: Annotated[str, typer.Option(help="percentile or minmax.")] = "percentile",
    samples: Annotated[int, typer.Option(help="Examples to run.")] = 300,
    max_length: MaxLengthOption = None,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Find the activations' ranges on data; keep them in a table."""
    from bertcompress.artifact import Checkpoint
    from bertcompress.bert.load import load
    from bertcompress.passes.export_onnx import ExportOnnx
    from bertcompress.tasks import make_task
    from bertcompress_calibration import Calibrate
    from bertcompress_cli.output import note, result
    from bertcompress_cli.place import place_of
    from bertcompress_cli.progress import progress_on_stderr

    place = place_of("calibrate", model, options)
    source = place.required_data("calibrate")
    artifact = load(place.model, task=place.task)
    kind = make_task(artifact.task, artifact.config).label_kind
    data = source.load(
        "train", task=artifact.task, label_kind=kind, seed=place.seed, require_labels=False
    )
    with progress_on_stderr() as progress:
        measure = Calibrate(
            data.examples,
            method=method,
            samples=samples,
            max_length=max_length,
            seed=place.seed,
            progress=progress,
        )
        if isinstance(artifact, Checkpoint):
            note(f"{place.model} is a checkpoint: it is exported to ONNX first")
            artifact = ExportOnnx(seed=place.seed)(artifact, progress=progress)
        table = measure(artifact)
    table.save(out)
    facts = {
        "table": str(out),
        "method": table.method,
        "samples": len(table.sample_ids),
        "tensors": len(table.ranges),
    }
    result(out, facts, as_json=as_json)
