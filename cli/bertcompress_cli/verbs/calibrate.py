"""``bertcompress calibrate``: finds ranges on data and keeps them in a table."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from bertcompress.errors import UsageError
from bertcompress_cli.options import (
    DataOptions,
    JsonOption,
    MaxLengthOption,
    ModelArgument,
    takes_data,
)

if TYPE_CHECKING:
    from bertcompress.artifacts.artifact import Artifact
    from bertcompress.artifacts.calibration_table import CalibrationTable
    from bertcompress.examples import Example
    from bertcompress_cli.place import Place


@takes_data
def calibrate(
    model: ModelArgument = None,
    *,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="TABLE", help="The file to write.")
    ] = Path("table.safetensors"),
    method: Annotated[
        str, typer.Option(help="percentile, minmax, mean, entropy, mse or tokens.")
    ] = "percentile",
    samples: Annotated[int | None, typer.Option(help="Examples to run; 300 if left out.")] = None,
    max_length: MaxLengthOption = None,
    seeds: Annotated[
        int | None, typer.Option(help="Draw samples so often; say how far the ranges move.")
    ] = None,
    random: Annotated[
        bool, typer.Option("--random", help="Take random words as texts, and no data.")
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option(help="Decide the ranges of this table again by --method; no model, no data."),
    ] = None,
    attention: Annotated[
        bool, typer.Option("--attention", help="Also inside attention, for TensorRT.")
    ] = False,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Find the activations' ranges on data; keep them in a table."""
    if table is not None:
        others = (model, samples, max_length, seeds, options.data, options.split)
        if random or attention or any(one is not None for one in others):
            raise UsageError("--table takes the statistics of that table; leave all but --method")
        found = _decided_again(table, method)
    else:
        found = _measured(
            model,
            options,
            method=method,
            samples=300 if samples is None else samples,
            max_length=max_length,
            seeds=seeds,
            random=random,
            attention=attention,
        )
    found.save(out)
    _say(found, out, as_json=as_json)


def _decided_again(table: Path, method: str) -> CalibrationTable:
    from bertcompress.artifacts.calibration_table import CalibrationTable
    from bertcompress_calibration import decided_again

    return decided_again(CalibrationTable.load(table), method=method)


def _measured(
    model: str | None,
    options: DataOptions,
    *,
    method: str,
    samples: int,
    max_length: int | None,
    seeds: int | None,
    random: bool,
    attention: bool,
) -> CalibrationTable:
    from bertcompress.artifacts.artifact import Checkpoint, Engine
    from bertcompress.bert.loading.load import load
    from bertcompress.passes.context import Context
    from bertcompress.passes.export.export_onnx import ExportOnnx
    from bertcompress.passes.quantize.ranges import Ranges
    from bertcompress_calibration import calibrate_over_seeds, calibrate_ranges
    from bertcompress_cli.output import note
    from bertcompress_cli.place import place_of
    from bertcompress_cli.progress import progress_on_stderr

    place = place_of("calibrate", model, options)
    if random and options.data is not None:
        raise UsageError("--random takes no data; leave out --data or --random")
    if not random:
        place.required_data("calibrate")
    artifact = load(place.model, task=place.task)
    pool = samples * (seeds or 1)
    examples, split = _random(artifact, pool, place) if random else _read(artifact, place)
    with progress_on_stderr() as progress:
        ranges = Ranges(method, samples, max_length=max_length)
        context = Context(examples, split=split, progress=progress)
        if isinstance(artifact, Checkpoint):
            note(f"{place.model} is a checkpoint: it is exported to ONNX first")
            artifact = ExportOnnx(seed=place.seed)(artifact, context)
        if isinstance(artifact, Engine):
            artifact = artifact.source
        how = (artifact, ranges, context)
        if seeds is None:
            return calibrate_ranges(*how, seed=place.seed, attention=attention)
        return calibrate_over_seeds(*how, seed=place.seed, seeds=seeds, attention=attention)


def _read(artifact: Artifact, place: Place) -> tuple[tuple[Example, ...], str | None]:
    """Returns training examples and the name of their split."""
    from bertcompress.recipes.resources import Material
    from bertcompress.tasks import make_task

    kind = make_task(artifact.task, artifact.config).label_kind
    material = Material(place.data, task=artifact.task, label_kind=kind, seed=place.seed)
    return material.examples, material.split


def _random(artifact: Artifact, count: int, place: Place) -> tuple[tuple[Example, ...], str | None]:
    """Returns texts of random words, which were asked for by name."""
    from bertcompress_calibration import RANDOM, random_texts
    from bertcompress_cli.output import note

    note("the texts are random words: the ranges are for trying things out, not for use")
    return random_texts(artifact, count, seed=place.seed), RANDOM


def _say(table: CalibrationTable, out: Path, *, as_json: bool) -> None:
    from bertcompress_cli.output import note, result

    facts: dict[str, object] = {
        "table": str(out),
        "method": table.method,
        "samples": len(table.sample_ids),
        "split": table.split,
        "seed": table.seed,
        "tensors": len(table.share_groups),
        "modules": len(table.ranges),
    }
    found = table.stability
    if found is not None:
        facts["stability"] = {
            "seeds": list(found.seeds),
            "largest_change": found.largest,
            "least_stable": found.least_stable,
            "changes": dict(found.changes),
        }
        note(
            f"over {len(found.seeds)} draws of samples the ranges move by up to "
            f"{100 * found.largest:.1f} % (the input of {found.least_stable}), half of them by "
            f"less than {100 * median(found.changes.values()):.1f} %"
        )
    result(out, facts, as_json=as_json)
