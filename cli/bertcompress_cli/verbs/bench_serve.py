"""``bertcompress bench-serve``: how much a model answers over HTTP, and how soon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bertcompress_cli.options import (
    DataOptions,
    JsonOption,
    MaxLengthOption,
    ModelArgument,
    RuntimeOption,
    takes_data,
)

if TYPE_CHECKING:
    from bertcompress.recipes.bench_serve_recipe import LoadRow


@takes_data
def bench_serve(
    model: ModelArgument = None,
    *,
    clients: Annotated[
        str, typer.Option(metavar="N,…", help="Clients that ask again once they are answered.")
    ] = "1,4,16,64",
    texts_per_request: Annotated[
        str, typer.Option(metavar="N,…", help="Texts in each request.")
    ] = "1",
    shares: Annotated[
        str,
        typer.Option(
            metavar="S,…",
            help="Requests at random times, as shares of the highest rate of those clients.",
        ),
    ] = "0.5,0.7,0.9",
    seconds: Annotated[float, typer.Option(help="Of each load.")] = 5.0,
    engines: Annotated[
        str, typer.Option(metavar="auto|N|inline", help="Processes that hold the weights.")
    ] = "auto",
    runtime: RuntimeOption = "auto",
    max_length: MaxLengthOption = None,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Serve a model in another process, put loads on it from a third, and print what it bore."""
    from pathlib import Path

    from bertcompress.bert.loading.locate import locate
    from bertcompress.inference.predictor import Predictor
    from bertcompress.recipes.bench_serve_recipe import ServeLoads, bench_serve, numbers_of
    from bertcompress.recipes.serve_recipe import check_libraries, engines_of
    from bertcompress.serve.settings import ModelSettings, ServeSettings
    from bertcompress_cli.output import note, notes
    from bertcompress_cli.place import place_of
    from bertcompress_cli.progress import progress_on_stderr

    check_libraries()
    loads = ServeLoads(
        numbers_of("--clients", clients, int),
        numbers_of("--texts-per-request", texts_per_request, int),
        numbers_of("--shares", shares, float),
        seconds,
    )
    loads.check()
    place = place_of("bench-serve", model, options)
    source = place.required_data("bench-serve")
    folder = locate(place.model)
    task = Predictor.open(folder, task=place.task, runtime=runtime, note=note).task
    data = source.load(
        "test", task=task.name, label_kind=task.label_kind, require_labels=False, whole=True
    )
    notes(data.notes)
    asked = ModelSettings(Path(folder), place.task, runtime, max_length)
    settings = ServeSettings(engines=engines_of(engines), cache_bytes=0)
    with progress_on_stderr() as progress:
        rows = bench_serve(asked, data.examples, settings, loads, progress=progress)
    _print(rows, place.model, as_json=as_json)


def _print(rows: list[LoadRow], model: str, *, as_json: bool) -> None:
    from dataclasses import asdict

    from bertcompress.formatting import percent_text, quantile_name, rate_text, seconds_text
    from bertcompress.recipes.bench_serve_recipe import QUANTILES
    from bertcompress_cli.output import result, table

    if as_json:
        result("", {"model": model, "rows": [asdict(row) for row in rows]}, as_json=True)
        return
    table(
        (
            "load",
            "texts each",
            "texts/s",
            *(quantile_name(one) for one in QUANTILES),
            "refused",
            "failed",
            "loader's CPU",
        ),
        [
            (
                f"{row.clients} clients"
                if row.offered is None
                else f"{row.offered:,.0f}/s at random",
                str(row.texts_per_request),
                rate_text(row.texts_per_s),
                *("too few" if one is None else seconds_text(one) for one in row.quantiles_s),
                str(row.refused),
                str(row.failed),
                percent_text(row.loader),
            )
            for row in rows
        ],
    )
