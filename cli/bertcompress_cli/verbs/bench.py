"""``bertcompress bench``: several models on the same inputs, one report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bertcompress.errors import UsageError
from bertcompress_cli.options import (
    DataOptions,
    JsonOption,
    MaxLengthOption,
    RuntimeOption,
    ThreadsOption,
    takes_data,
)

if TYPE_CHECKING:
    from bertcompress.bench.settings import BenchSettings
    from bertcompress.bench.variant import Variant
    from bertcompress.inference.predictor import Predictor
    from bertcompress.recipes.data_source import DataSource
    from bertcompress.recipes.measure import PeerSource

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
    from bertcompress.bench.variant import subject_of
    from bertcompress.recipes.measure import measure
    from bertcompress.workspace import record_measured
    from bertcompress_cli.measured_data import measured_data
    from bertcompress_cli.place import command_line, place_of
    from bertcompress_cli.progress import progress_on_stderr
    from bertcompress_cli.show_report import show_report

    place = place_of("bench", models[0] if models else None, options)
    if not models and place.workspace is not None:
        artifacts = place.workspace.artifacts()
        models = [place.workspace.model_here, *(str(folder) for folder in artifacts)]
    opened = _open(models or [], options.task, runtime, max_length)
    variants = _variants(models or [], name or [], opened)
    source, folder = place.required_data("bench"), place.report_folder(out)
    data = measured_data(source, opened[0], seed=place.seed, whole=options.data is not None)
    settings = _settings(
        quick=quick,
        rounds=rounds,
        tune=tune,
        threads=threads,
        seed=place.seed,
        server=server,
        peers=peers,
        passage_length=passage_length,
    )
    made_from = _peer_source(opened, source, seed=place.seed) if peers else None
    with progress_on_stderr() as progress:
        report = measure(
            variants,
            subject_of(opened[0], data),
            settings,
            folder,
            command=command_line(),
            peers=made_from,
            progress=progress,
        )
    if place.workspace is not None:
        record_measured(folder, {variant.name: variant.folder for variant in variants})
    show_report(report, folder, as_json=as_json)


def _open(
    models: Sequence[str], task: str | None, runtime: str, max_length: int | None
) -> list[Predictor]:
    from bertcompress.inference.predictor import Predictor
    from bertcompress_cli.output import note

    return [
        Predictor.open(model, task=task, runtime=runtime, max_length=max_length, note=note)
        for model in models
    ]


def _variants(
    models: Sequence[str], names: Sequence[str], opened: Sequence[Predictor]
) -> list[Variant]:
    from bertcompress.bench.variant import variant_of

    if names and len(names) != len(models):
        raise UsageError(f"{len(names)} names were given for {len(models)} models; give one each")
    tasks = {one.task.name for one in opened}
    if len(tasks) > 1:
        raise UsageError(f"the models do different tasks, {', '.join(sorted(tasks))}")
    called = list(names) or [Path(model).name or model for model in models]
    if len(set(called)) < len(called):
        called = list(models)
    return [variant_of(name, model) for name, model in zip(called, opened, strict=True)]


def _peer_source(opened: Sequence[Predictor], source: DataSource, *, seed: int) -> PeerSource:
    from bertcompress.artifacts.manifest import kind_of
    from bertcompress.recipes.resources import Splits
    from bertcompress.recipes.run_recipe import peer_source

    for one in opened:
        if kind_of(one.folder) == "checkpoint":
            task = one.task
            splits = Splits(source, task=task.name, label_kind=task.label_kind, seed=seed)
            return peer_source(one, splits, seed=seed)
    raise UsageError("--peers needs a checkpoint among the models: peers are made from one")


def _settings(
    *,
    quick: bool,
    rounds: int | None,
    tune: bool | None,
    threads: int | None,
    seed: int,
    server: bool,
    peers: bool,
    passage_length: int | None,
) -> BenchSettings:
    from dataclasses import replace

    from bertcompress.bench.settings import QUICK, BenchSettings

    settings = QUICK if quick else BenchSettings()
    return replace(
        settings,
        rounds=settings.rounds if rounds is None else rounds,
        tune=settings.tune if tune is None else tune,
        threads=threads,
        seed=seed,
        server=server,
        peers=peers,
        passage_length=passage_length,
    )
