"""``bertcompress predict``: answers as JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bertcompress.errors import UsageError
from bertcompress_cli.options import (
    DataOptions,
    MaxLengthOption,
    RuntimeOption,
    ThreadsOption,
    takes_data,
)

if TYPE_CHECKING:
    from bertcompress.examples import Example
    from bertcompress.tasks import Task


@takes_data
def predict(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL] [TEXT]…",
            help="A model folder and texts. In a workspace the model may be left out.",
            show_default=False,
        ),
    ] = None,
    *,
    given: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="Answer a data file instead of texts."),
    ] = None,
    pair: Annotated[
        str | None, typer.Option(help="The second text, or the context of a question.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,…",
            help="Give these columns of the file along, under columns; all gives every one.",
        ),
    ] = None,
    runtime: RuntimeOption = "auto",
    max_length: MaxLengthOption = None,
    threads: ThreadsOption = None,
    options: DataOptions,
) -> None:
    """Print the model's answers, one JSON object a line."""
    from bertcompress.inference.predictor import Predictor, examples_of
    from bertcompress.workspace import find_workspace
    from bertcompress_cli.output import json_line, note
    from bertcompress_cli.place import place_in
    from bertcompress_cli.progress import progress_on_stderr

    if options.data is not None:
        raise UsageError("predict reads a file of texts from --input, not from --data")
    if given is None:
        _refuse_data_options(options)
        if keep is not None:
            raise UsageError("--keep gives a file's columns along; give a file with --input")
    elif pair is not None:
        raise UsageError("--pair goes with texts; of a file, name the column: --text-pair NAME")
    workspace = find_workspace(Path())
    model, texts = _split(words or [], in_workspace=workspace is not None)
    place = place_in(workspace, "predict", model, options)
    if bool(texts) == (given is not None):
        raise UsageError(
            "predict takes texts or --input FILE; type: bertcompress predict MODEL 'a text'"
        )
    with Predictor.open(
        place.model,
        task=place.task,
        runtime=runtime,
        threads=threads,
        max_length=max_length,
        note=note,
    ) as opened:
        note(f"{place.model} answers, by {opened.runtime}")
        task = opened.task
        kept = _kept(given, keep, options) if given is not None else {}
        if given is not None:
            examples = _read(given, options, task, place.seed)
        else:
            examples = examples_of(task.name, texts, pair=pair)
        with progress_on_stderr() as progress:
            answers = opened.predict(examples, progress=progress)
    for example, prediction in zip(examples, answers.predictions, strict=True):
        row = {"columns": kept[example.id]} if keep is not None else {}
        json_line({**task.to_json(example, prediction), **row})


def _split(words: list[str], *, in_workspace: bool) -> tuple[str | None, list[str]]:
    """Tells the model from the texts: in a workspace the first word may be a text already."""
    if not words or (in_workspace and not Path(words[0]).is_dir()):
        return None, words
    return words[0], words[1:]


def _refuse_data_options(options: DataOptions) -> None:
    """Fails where something is typed about a file and none is read."""
    from dataclasses import fields

    for option in fields(options):
        if option.name in ("data", "task", "seed"):
            continue
        if getattr(options, option.name) not in (None, False):
            name = option.name.replace("_", "-")
            raise UsageError(f"--{name} is about a file; give one with --input, or leave it out")


def _kept(
    given: Path, keep: str | None, options: DataOptions
) -> Mapping[str, Mapping[str, object]]:
    """Returns the columns to give along, by the examples' ids."""
    if keep is None:
        return {}
    from bertcompress.data.read_file import columns_of

    names = None if keep == "all" else [name.strip() for name in keep.split(",")]
    return columns_of(given, names, header=not options.no_header)


def _read(given: Path, options: DataOptions, task: Task, seed: int) -> tuple[Example, ...]:
    from dataclasses import replace

    from bertcompress_cli.output import notes
    from bertcompress_cli.place import source_from_options

    source = source_from_options(replace(options, data=str(given)), None)
    assert source is not None
    data = source.load(
        "test",
        task=task.name,
        label_kind=task.label_kind,
        seed=seed,
        require_labels=False,
        whole=True,
        fits=task.check,
    )
    notes(data.notes)
    return data.examples
