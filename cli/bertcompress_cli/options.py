"""Options that several subcommands have: the model, the output, the data.

`takes_data` gives a command all options about data at once; the command gets them as one
`DataOptions`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, get_type_hints

import typer

from bertcompress.errors import UsageError

_DATA = "Data"

ModelArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="A model folder or hub name. In a workspace: its newest artifact.",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="OUT",
        help="Where to write. In a workspace: the next artifact.",
        show_default=False,
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace an artifact that is there already.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
MaxLengthOption = Annotated[
    int | None,
    typer.Option(help="Longest text in tokens; the model's limit, at most 512, if left out."),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(help="Threads of the runtime; its best settings or all CPUs, if left out."),
]
RuntimeOption = Annotated[
    str,
    typer.Option(
        help="auto, ort-cpu, torch-cpu, openvino, openvino-bf16; on an NVIDIA GPU tensorrt, "
        "ort-cuda, ort-tensorrt, torch-cuda, torch-cuda-fp16, -bf16, -compiled, "
        "-packed, -int8 or -fp8."
    ),
]


@dataclass(frozen=True)
class DataOptions:
    """What was typed about the data; field names are the options' names."""

    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="A file (CSV, TSV, JSONL, JSON, Parquet, CoNLL), a folder or a hub name.",
            rich_help_panel=_DATA,
        ),
    ] = None
    task: Annotated[
        str | None,
        typer.Option(help="The task, if the model does not say it.", rich_help_panel=_DATA),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(help="train, validation, test or all.", rich_help_panel=_DATA),
    ] = None
    limit: Annotated[
        int | None, typer.Option(help="Draw so many examples.", rich_help_panel=_DATA)
    ] = None
    seed: Annotated[
        int | None, typer.Option(help="Decides all drawing.", rich_help_panel=_DATA)
    ] = None
    text_column: Annotated[
        str | None,
        typer.Option(
            "--text-column",
            "--text",
            help="Column of the text or the words.",
            rich_help_panel=_DATA,
        ),
    ] = None
    pair_column: Annotated[
        str | None,
        typer.Option(
            "--pair-column", "--text-pair", help="Column of the second text.", rich_help_panel=_DATA
        ),
    ] = None
    label_column: Annotated[
        str | None,
        typer.Option(
            "--label-column",
            "--label",
            help="Column of the label or the tags.",
            rich_help_panel=_DATA,
        ),
    ] = None
    question_column: Annotated[
        str | None,
        typer.Option(
            "--question-column", "--question", help="Column of the question.", rich_help_panel=_DATA
        ),
    ] = None
    context_column: Annotated[
        str | None,
        typer.Option(
            "--context-column", "--context", help="Column of the context.", rich_help_panel=_DATA
        ),
    ] = None
    answers_column: Annotated[
        str | None,
        typer.Option(
            "--answers-column", "--answers", help="Column of the answers.", rich_help_panel=_DATA
        ),
    ] = None
    label_map: Annotated[
        str | None,
        typer.Option(metavar="OLD=NEW,…", help="Rename the data's labels.", rich_help_panel=_DATA),
    ] = None
    label_kind: Annotated[
        str | None,
        typer.Option(help="class, multi or number, if it is not clear.", rich_help_panel=_DATA),
    ] = None
    label_separator: Annotated[
        str | None,
        typer.Option(help="What separates several labels in one text.", rich_help_panel=_DATA),
    ] = None


def takes_data(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of `DataOptions` to a command, which gets them as ``options``."""
    hints = get_type_hints(DataOptions, include_extras=True)
    added = [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if one.default is MISSING else one.default,
            annotation=hints[one.name],
        )
        for one in fields(DataOptions)
    ]
    own = inspect.signature(command, eval_str=True).parameters.values()
    kept = [one for one in own if one.name != "options"]

    def with_options(**values: object) -> None:
        typed = {one.name: values.pop(one.name) for one in added}
        command(**values, options=DataOptions(**typed))  # type: ignore[arg-type]  # typer's values

    signature = inspect.Signature(
        [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in kept] + added
    )
    with_options.__name__ = command.__name__
    with_options.__doc__ = command.__doc__
    with_options.__annotations__ = {
        one.name: one.annotation for one in signature.parameters.values()
    }
    with_options.__signature__ = signature  # type: ignore[attr-defined]  # read by inspect
    return with_options


def label_map_of(text: str | None) -> dict[str, str]:
    """Returns the pairs of ``old=new,old=new``.

    Raises:
        UsageError: A part is not a pair, or a label is renamed twice.
    """
    pairs: dict[str, str] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        old, equals, new = part.partition("=")
        if not equals or not old.strip() or not new.strip() or old.strip() in pairs:
            raise UsageError(
                f"--label-map takes OLD=NEW,OLD=NEW with each label once, got {part.strip()!r}"
            )
        pairs[old.strip()] = new.strip()
    return pairs
