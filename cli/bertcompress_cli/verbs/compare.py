"""``bertcompress compare``: two builds in one job, for CI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bertcompress.errors import UsageError
from bertcompress_cli.options import (
    DataOptions,
    FailOnAbstainOption,
    JsonOption,
    MaxLengthOption,
    RuntimeOption,
    takes_data,
)

if TYPE_CHECKING:
    from bertcompress.examples import Dataset
    from bertcompress.gates.compare import CompareSettings, Comparison
    from bertcompress.inference.predictor import Predictor

_STATE = ".state"

_BOUNDS = "Further bounds"
_MEASURING = "Measuring"


@takes_data
def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="The model folder of now.")],
    head: Annotated[Path, typer.Argument(metavar="HEAD", help="The one to replace it.")],
    *,
    max_slowdown: Annotated[
        str, typer.Option(help="Slowdown of one sentence that is caught, such as 3%.")
    ] = "3%",
    max_drop: Annotated[
        str, typer.Option(help="Allowed loss of the primary metric, such as 1%.")
    ] = "1%",
    max_growth: Annotated[
        str,
        typer.Option(
            help="Allowed growth of file, parameters and operations.", rich_help_panel=_BOUNDS
        ),
    ] = "1%",
    max_memory_growth: Annotated[
        str, typer.Option(help="Allowed growth of the peak of memory.", rich_help_panel=_BOUNDS)
    ] = "5%",
    max_rounds: Annotated[
        int,
        typer.Option(
            help="Rounds of four processes, at most; fewer if they decide it.",
            rich_help_panel=_MEASURING,
        ),
    ] = 20,
    requests: Annotated[
        int,
        typer.Option(
            help="Single sentences timed in each process of a round.", rich_help_panel=_MEASURING
        ),
    ] = 100,
    examples: Annotated[
        int,
        typer.Option(
            help="Examples that are answered and scored; the same ones each time.",
            rich_help_panel=_MEASURING,
        ),
    ] = 500,
    speed: Annotated[
        bool,
        typer.Option(
            "--speed/--no-speed",
            help="Without: only what holds on any machine, and no timing.",
            rich_help_panel=_MEASURING,
        ),
    ] = True,
    kernels: Annotated[
        bool,
        typer.Option(
            "--kernels/--no-kernels",
            help="Compare counts of kernels and fusions.",
            rich_help_panel=_MEASURING,
        ),
    ] = True,
    threads: Annotated[
        int,
        typer.Option(
            help="Threads of the runtime; one is the steadiest on a shared machine.",
            rich_help_panel=_MEASURING,
        ),
    ] = 1,
    runtime: RuntimeOption = "auto",
    max_length: MaxLengthOption = None,
    fail_on_abstain: FailOnAbstainOption = False,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="OUT", help="Folder for JSON, Markdown and JUnit XML."),
    ] = None,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Compare two builds in one job: exit 3 if HEAD answers worse, 4 if slower or bigger."""
    from bertcompress.gates.compare import CompareSettings
    from bertcompress.gates.comparison_files import COMPARISON_NAMES
    from bertcompress.ownership import check_files
    from bertcompress.recipes.measure import measured_data, note_trained_rows
    from bertcompress_cli import quantities
    from bertcompress_cli.output import note
    from bertcompress_cli.place import place_of

    place = place_of("compare", str(head), options)
    settings = CompareSettings(
        looks=looks_until(max_rounds),
        requests=requests,
        threads=threads,
        seed=place.seed,
        examples=examples,
        max_slowdown=quantities.fraction("max-slowdown", max_slowdown) or 0.0,
        max_drop=quantities.loss("max-drop", max_drop) or 0.0,
        max_growth=quantities.fraction("max-growth", max_growth) or 0.0,
        max_memory_growth=quantities.fraction("max-memory-growth", max_memory_growth) or 0.0,
        speed=speed,
        kernels=kernels,
    )
    if out is not None:
        check_files(out, COMPARISON_NAMES)
    opened = _open_both(base, head, place.task, runtime, max_length)
    data = measured_data(
        place.required_data("compare"),
        opened[0],
        seed=place.seed,
        whole=options.data is not None,
        note=note,
    )
    for build in opened:
        note_trained_rows(build, data, note=note)
    made = _measure(opened, data, settings, out)
    _show(made, out, fail_on_abstain=fail_on_abstain, as_json=as_json)


def looks_until(most: int) -> tuple[int, ...]:
    """Returns after how many rounds the speed is looked at, if there may be this many.

    >>> looks_until(20), looks_until(6)
    ((3, 5, 8, 12, 20), (3, 5, 6))
    """
    from bertcompress.gates.compare import CompareSettings

    if most < 1:
        raise UsageError(f"max-rounds must be at least 1, got {most}")
    return (*(look for look in CompareSettings().looks if look < most), most)


def _open_both(
    base: Path, head: Path, task: str | None, runtime: str, max_length: int | None
) -> tuple[Predictor, Predictor]:
    from bertcompress.inference.predictor import Predictor
    from bertcompress_cli.output import note

    before, after = (
        Predictor.open(folder, task=task, runtime=runtime, max_length=max_length, note=note)
        for folder in (base, head)
    )
    if before.task.name != after.task.name:
        raise UsageError(
            f"base and head do different tasks, {before.task.name} and {after.task.name}"
        )
    return before, after


def _measure(
    opened: tuple[Predictor, Predictor], data: Dataset, settings: CompareSettings, out: Path | None
) -> Comparison:
    from bertcompress.bench.variant import subject_of, variant_of
    from bertcompress.gates.compare import compare as measure
    from bertcompress_cli.place import command_line
    from bertcompress_cli.progress import progress_on_stderr

    subject = subject_of(opened[0], data)
    base, head = (
        variant_of(name, model, subject)
        for name, model in zip(("base", "head"), opened, strict=True)
    )
    with progress_on_stderr() as progress:
        return measure(
            base,
            head,
            subject,
            settings=settings,
            state_root=out / _STATE if out is not None else None,
            command=command_line(),
            progress=progress,
        )


def _show(made: Comparison, out: Path | None, *, fail_on_abstain: bool, as_json: bool) -> None:
    """Writes the files, tells CI, prints the outcome, and fails if a gate did.

    Raises:
        AccuracyGateError: Head answers worse.
        SpeedGateError: Head is slower or bigger, or that can't be told and `fail_on_abstain`.
    """
    from bertcompress.gates.comparison_files import (
        comparison_json,
        comparison_markdown,
        headline,
        write_comparison,
    )
    from bertcompress.gates.gate import enforce
    from bertcompress_cli.github import publish
    from bertcompress_cli.output import result
    from bertcompress_cli.show_report import show_sentences

    outputs: dict[str, str | Path | float] = {"verdict": headline(made)}
    if out is not None:
        files = write_comparison(made, out)
        outputs |= {"report": files.markdown, "junit": files.junit}
    if made.slowdown is not None:
        outputs |= {"slowdown": round(made.slowdown.estimate, 5)}
    publish(comparison_markdown(made), made.gates, outputs)
    show_sentences([f"{one.state}: {one.sentence}" for one in made.gates if one.state != "failed"])
    result(headline(made), comparison_json(made), as_json=as_json)
    enforce(made.gates, fail_on_abstain=fail_on_abstain)
