"""``bertcompress bench``: several models on the same inputs, one report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertcompress_cli.options import (
    DataOptions,
    JsonOption,
    MaxLengthOption,
    RuntimeOption,
    ThreadsOption,
    takes_data,
)

_MEASURING = "What is measured"


@takes_data
def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]…",
            help="Model folders, the baseline first. In a workspace: the model and all artifacts.",
            show_default=False,
        ),
    ] = None,
    *,
    name: Annotated[
        list[str] | None,
        typer.Option(help="What reports call a model; repeat it in the models' order."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer samples, for a first look.")
    ] = False,
    rounds: Annotated[
        int | None,
        typer.Option(help="How often everything is measured.", rich_help_panel=_MEASURING),
    ] = None,
    threads: ThreadsOption = None,
    tune: Annotated[
        bool | None,
        typer.Option(
            "--tune/--no-tune",
            help="Find each model's best streams, threads, batch and order, and save them with "
            "it. Left out with --quick.",
            show_default=False,
            rich_help_panel=_MEASURING,
        ),
    ] = None,
    server: Annotated[
        bool,
        typer.Option(
            "--server",
            help="Find the rate of requests that each answers in time.",
            rich_help_panel=_MEASURING,
        ),
    ] = False,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers",
            help="Measure what other libraries make of the first checkpoint as well; the extra "
            "'peers' installs them.",
            rich_help_panel=_MEASURING,
        ),
    ] = False,
    passage_length: Annotated[
        int | None,
        typer.Option(help="Also time passages of this many tokens.", rich_help_panel=_MEASURING),
    ] = None,
    runtime: RuntimeOption = "auto",
    max_length: MaxLengthOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="REPORT", help="The report's folder. In a workspace: the next."
        ),
    ] = None,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Measure models on the same inputs and write the report."""
    from dataclasses import replace

    from bertcompress.bench.settings import QUICK, BenchSettings
    from bertcompress.recipes.measure import benchmark
    from bertcompress.recipes.recipe import or_default
    from bertcompress.workspace import record_measured
    from bertcompress_cli.output import note
    from bertcompress_cli.place import command_line, place_of
    from bertcompress_cli.progress import progress_on_stderr
    from bertcompress_cli.show_report import show_report

    place = place_of("bench", models[0] if models else None, options)
    if not models and place.workspace is not None:
        models = place.workspace.models()
    usual = QUICK if quick else BenchSettings()
    settings = replace(
        usual,
        rounds=or_default(rounds, usual.rounds),
        tune=or_default(tune, usual.tune),
        threads=threads,
        seed=place.seed,
        server=server,
        peers=peers,
        passage_length=passage_length,
    )
    source, folder = place.required_data("bench"), place.report_folder(out)
    with progress_on_stderr() as progress:
        report = benchmark(
            models or [],
            source,
            settings=settings,
            names=name or [],
            task=options.task,
            runtime=runtime,
            max_length=max_length,
            whole=options.data is not None,
            out=folder,
            command=command_line(),
            note=note,
            progress=progress,
        )
    if place.workspace is not None:
        shown = zip(report.results, models or [], strict=False)  # peers come last
        record_measured(folder, {variant.name: Path(model) for variant, model in shown})
    show_report(report, folder, as_json=as_json)
