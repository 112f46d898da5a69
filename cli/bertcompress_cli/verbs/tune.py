"""``bertcompress tune``: the fastest runtime and its best settings for a model on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bertcompress_cli.options import (
    DataOptions,
    JsonOption,
    MaxLengthOption,
    ModelArgument,
    takes_data,
)

if TYPE_CHECKING:
    from bertcompress.bench.runtime_race import RuntimeRace


@takes_data
def tune(
    model: ModelArgument = None,
    *,
    runtime: Annotated[
        list[str] | None,
        typer.Option(help="A runtime to try; repeatable. All that are installed, if left out."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPUs that may be used; all, if left out.")
    ] = None,
    max_length: MaxLengthOption = None,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Find the fastest runtime here and its settings; predict and evaluate then use them."""
    from bertcompress.bench.runtime_race import choose_runtime, usual_runtimes
    from bertcompress.bench.settings import BenchSettings
    from bertcompress.bench.variant import subject_of
    from bertcompress.errors import UsageError
    from bertcompress.inference.predictor import Predictor
    from bertcompress.machine.environment import available_threads
    from bertcompress.recipes.measure import measured_data
    from bertcompress.runtimes import RUNTIME_NAMES
    from bertcompress_cli.output import note
    from bertcompress_cli.place import place_of
    from bertcompress_cli.progress import progress_on_stderr

    if threads is not None and threads < 1:
        raise UsageError(f"threads must be 1 or more, got {threads}")
    for name in runtime or ():
        if name not in RUNTIME_NAMES:
            raise UsageError(f"there is no runtime {name!r}; it can be {', '.join(RUNTIME_NAMES)}")
    place = place_of("tune", model, options)
    source = place.required_data("tune")
    model_here = Predictor.open(place.model, task=place.task, max_length=max_length, note=note)
    data = measured_data(
        source, model_here, seed=place.seed, whole=options.data is not None, note=note
    )
    with progress_on_stderr() as progress:
        race = choose_runtime(
            model_here.folder,
            subject_of(model_here, data),
            BenchSettings(seed=place.seed),
            runtime or usual_runtimes(model_here.folder),
            threads=threads or available_threads(),
            progress=progress,
        )
    _print(race, str(model_here.folder), as_json=as_json)


def _print(race: RuntimeRace, folder: str, *, as_json: bool) -> None:
    from dataclasses import asdict

    from bertcompress_cli.output import note, result, table

    for name, why in race.refused.items():
        note(f"{name} is left out: {why}")
    if not race.saved:
        note(f"{folder} has no bertcompress.json that could be written: the choice is not kept")
    if as_json:
        result("", {"model": folder, **asdict(race)}, as_json=True)
        return
    rows = [
        (
            one.runtime,
            f"{1e3 * one.single_s:.2f} ms",
            f"{one.sentences_per_s:,.0f}/s",
            f"{one.settings.streams} × {one.settings.threads}",
            f"{one.settings.batch_size}",
        )
        for one in race.speeds
    ]
    table(("runtime", "one text", "many texts", "streams × threads", "batch"), rows)
    choice = race.choice
    result(f"one text: {choice.single}; many texts: {choice.many}", {}, as_json=False)
