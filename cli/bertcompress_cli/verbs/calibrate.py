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
    from bertcompress.artifacts.calibration_table import CalibrationTable

_HOW = "How"


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
        int | None,
        typer.Option(
            help="Draw samples so often; say how far the ranges move.", rich_help_panel=_HOW
        ),
    ] = None,
    random: Annotated[
        bool,
        typer.Option(
            "--random", help="Take random words as texts, and no data.", rich_help_panel=_HOW
        ),
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option(
            help="Decide the ranges of this table again by --method; no model, no data.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    attention: Annotated[
        bool,
        typer.Option(
            "--attention", help="Also inside attention, for TensorRT.", rich_help_panel=_HOW
        ),
    ] = False,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Find the activations' ranges on data; keep them in a table."""
    from bertcompress.artifacts.calibration_table import CalibrationTable
    from bertcompress.passes.ranges import Ranges
    from bertcompress.recipes.calibrate_recipe import CalibrateOptions, calibration_of
    from bertcompress_calibration import decided_again
    from bertcompress_cli.output import note
    from bertcompress_cli.place import place_of
    from bertcompress_cli.progress import progress_on_stderr

    if table is not None:
        others = (model, samples, max_length, seeds, options.data, options.split)
        if random or attention or any(one is not None for one in others):
            raise UsageError("--table takes the statistics of that table; leave all but --method")
        found = decided_again(CalibrationTable.load(table), method=method)
    else:
        place = place_of("calibrate", model, options)
        if random and options.data is not None:
            raise UsageError("--random takes no data; leave out --data or --random")
        if not random:
            place.required_data("calibrate")
        ranges = Ranges(method, 300 if samples is None else samples, max_length=max_length)
        asked = CalibrateOptions(ranges, seeds, random, attention)
        with progress_on_stderr() as progress:
            found = calibration_of(place.recipe("calibrate"), asked, note=note, progress=progress)
    found.save(out)
    _say(found, out, as_json=as_json)


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
