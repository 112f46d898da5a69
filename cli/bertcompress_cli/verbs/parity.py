"""``bertcompress parity``: a checkpoint and everything made from it, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
    from bertcompress.parity.step import ParityLadder
    from bertcompress.parity.texts import ParityTexts
    from bertcompress_cli.place import Place

LIMIT = 512
"""So many texts are answered, if it is not said how many."""


@takes_data
def parity(
    model: ModelArgument = None,
    artifacts: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[ARTIFACT]...",
            help="What was made from MODEL, in order. None: MODEL is exported for the occasion.",
            show_default=False,
        ),
    ] = None,
    *,
    runtime: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this runtime; repeatable. All installed, if none."),
    ] = None,
    bound: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIGURE=VALUE",
            help="A bound of your own, such as int8.min-agreement=0.99 or max-drop=0.01; "
            "repeatable.",
        ),
    ] = None,
    max_length: MaxLengthOption = None,
    threads: Annotated[int, typer.Option(help="Threads of the runtimes.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="OUT", help="Folder for parity.json and parity.md."),
    ] = None,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Compare a checkpoint with its graphs in every runtime; exit 3 where one is off, and where."""
    from bertcompress.bert.loading.locate import locate
    from bertcompress.parity.bounds import BOUNDS, with_bound
    from bertcompress.parity.ladder import climb
    from bertcompress_cli.place import place_of
    from bertcompress_cli.progress import progress_on_stderr

    bounds = dict(BOUNDS)
    for one in bound or ():
        bounds = with_bound(bounds, one)
    place = place_of("parity", model, options)
    reference, made = _asked(place, artifacts or [], is_typed=model is not None)
    folder = locate(reference)
    with_data = options.data is not None or model is None
    texts = _texts(place, str(folder), max_length, with_data=with_data)
    with _exported(folder, made, place.task) as folders, progress_on_stderr() as progress:
        named = [(str(one), one) if one in made else ("exported", one) for one in folders]
        ladder = climb(
            folder,
            named,
            texts,
            bounds=bounds,
            runtimes=runtime or None,
            threads=threads,
            progress=progress,
        )
    _show(ladder, out, as_json=as_json)


def _asked(place: Place, artifacts: list[Path], *, is_typed: bool) -> tuple[str, list[Path]]:
    """Returns the reference and what is compared with it; a workspace has both."""
    from bertcompress.bert.loading.locate import locate

    if is_typed or place.workspace is None:
        return place.model, [locate(one) for one in artifacts]
    reference = place.workspace.newest_checkpoint()
    made = list(place.workspace.artifacts())
    names = [str(one) for one in made]
    return reference, made[names.index(reference) + 1 if reference in names else 0 :]


def _texts(place: Place, reference: str, max_length: int | None, *, with_data: bool) -> ParityTexts:
    from dataclasses import replace

    from bertcompress.bert.loading.load import load
    from bertcompress.inference.predictor import Predictor
    from bertcompress.parity.texts import ParityTexts, drawn_texts
    from bertcompress.recipes.measure import measured_data
    from bertcompress_cli.output import note

    if not with_data or place.data is None:
        return drawn_texts(load(reference, task=place.task), seed=place.seed)
    opened = Predictor.open(reference, task=place.task, max_length=max_length, note=note)
    source = place.data if place.data.limit else replace(place.data, limit=LIMIT)
    data = measured_data(source, opened, seed=place.seed, note=note)
    return ParityTexts(
        task=opened.task,
        features=opened.encode(data.examples),
        examples=data.examples,
        words=f"{data.source}, {data.split}",
        problem=opened.config.problem_type,
        pad_token_id=opened.pad_token_id,
    )


@contextmanager
def _exported(reference: Path, made: list[Path], task: str | None) -> Iterator[list[Path]]:
    """Gives the artifacts; where there are none and MODEL is a checkpoint, its export."""
    import tempfile

    from bertcompress.artifacts.artifact import Checkpoint, save
    from bertcompress.bert.loading.load import load
    from bertcompress.passes.export.export_onnx import ExportOnnx

    if made:
        yield made
        return
    artifact = load(reference, task=task)
    if not isinstance(artifact, Checkpoint):
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="bertcompress-parity-") as scratch:
        yield [save(ExportOnnx()(artifact), Path(scratch) / "exported")]


def _show(ladder: ParityLadder, out: Path | None, *, as_json: bool) -> None:
    """Prints the table, writes the files, and fails if a step is outside its bounds.

    Raises:
        AccuracyGateError: It names the first such step and where it begins to differ.
    """
    from bertcompress.errors import AccuracyGateError
    from bertcompress.parity import table as parity_text
    from bertcompress_cli.output import note, notes, result, table

    if out is not None:
        note(f"written to {parity_text.write_parity(ladder, out)}")
    if not as_json:
        table(parity_text.columns(ladder), parity_text.rows(ladder))
    notes(parity_text.absences(ladder))
    result(parity_text.outcome(ladder), parity_text.plain(ladder), as_json=as_json)
    if ladder.failed:
        first, *others = ladder.failed
        for step in others:
            note(parity_text.failure(step))
        raise AccuracyGateError(parity_text.failure(first))
