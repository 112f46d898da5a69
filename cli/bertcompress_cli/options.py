"""Options that several subcommands have: the model, the output, the data.

The options of a help page's first panel are those that are used the most; the others stand in
panels by what they are about.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from bertcompress.errors import UsageError

_DATA, _RUNTIME, OUTPUT = "Data", "Runtime", "Output"

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
    bool,
    typer.Option(
        "--overwrite",
        help="Replace an artifact that is there already.",
        rich_help_panel=OUTPUT,
    ),
]
FailOnAbstainOption = Annotated[
    bool,
    typer.Option(
        "--fail-on-abstain", help="Exit 4 too where timings are too noisy to decide a bound."
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print the result as one JSON object.", rich_help_panel=OUTPUT),
]
MaxLengthOption = Annotated[
    int | None,
    typer.Option(
        help="Longest text in tokens; the model's limit, at most 512, if left out.",
        rich_help_panel=_DATA,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        help="Threads of the runtime; its best settings or all CPUs, if left out.",
        rich_help_panel=_RUNTIME,
    ),
]
RuntimeOption = Annotated[
    str,
    typer.Option(
        help="auto, ort-cpu, torch-cpu, openvino, openvino-bf16; on an NVIDIA GPU tensorrt, "
        "ort-cuda, ort-tensorrt, torch-cuda, torch-cuda-fp16, -bf16, -compiled, "
        "-packed, -int8 or -fp8.",
        rich_help_panel=_RUNTIME,
    ),
]


@dataclass(frozen=True)
class DataOptions:
    """What was typed about the data; field names are the options' names."""

    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="A file (CSV, TSV, JSONL, JSON, Parquet, CoNLL, text), a folder, a hub name, or - "
            "for what is piped in.",
        ),
    ] = None
    task: Annotated[
        str | None,
        typer.Option(
            help="The task, if the model does not say it: --task token-classification.",
            rich_help_panel=_DATA,
        ),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(help="train, validation, test or all: --split test.", rich_help_panel=_DATA),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(help="Draw this number of examples: --limit 500.", rich_help_panel=_DATA),
    ] = None
    seed: Annotated[
        int | None, typer.Option(help="Decides all drawing: --seed 1.", rich_help_panel=_DATA)
    ] = None
    text_column: Annotated[
        str | None,
        typer.Option(
            "--text-column",
            "--text",
            help="Column of the text or the words: --text review.",
            rich_help_panel=_DATA,
        ),
    ] = None
    pair_column: Annotated[
        str | None,
        typer.Option(
            "--pair-column",
            "--text-pair",
            help="Column of the second text: --text-pair answer.",
            rich_help_panel=_DATA,
        ),
    ] = None
    label_column: Annotated[
        str | None,
        typer.Option(
            "--label-column",
            "--label",
            help="Column of the label or the tags: --label stars.",
            rich_help_panel=_DATA,
        ),
    ] = None
    question_column: Annotated[
        str | None,
        typer.Option(
            "--question-column",
            "--question",
            help="Column of the question: --question query.",
            rich_help_panel=_DATA,
        ),
    ] = None
    context_column: Annotated[
        str | None,
        typer.Option(
            "--context-column",
            "--context",
            help="Column of the context: --context passage.",
            rich_help_panel=_DATA,
        ),
    ] = None
    answers_column: Annotated[
        str | None,
        typer.Option(
            "--answers-column",
            "--answers",
            help="Column of the answers: --answers gold.",
            rich_help_panel=_DATA,
        ),
    ] = None
    no_header: Annotated[
        bool,
        typer.Option(
            "--no-header",
            help="Columns are 1, 2, …, the first line is a row: --no-header.",
            rich_help_panel=_DATA,
        ),
    ] = False
    label_map: Annotated[
        str | None,
        typer.Option(
            metavar="OLD=NEW,…",
            help="Rename the data's labels: --label-map 0=bad,1=good.",
            rich_help_panel=_DATA,
        ),
    ] = None
    label_kind: Annotated[
        str | None,
        typer.Option(
            help="class, multi or number, if it is not clear: --label-kind number.",
            rich_help_panel=_DATA,
        ),
    ] = None
    label_separator: Annotated[
        str | None,
        typer.Option(
            help="What separates several labels: --label-separator ';'.", rich_help_panel=_DATA
        ),
    ] = None


def takes_data(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of `DataOptions` to a command, which gets them as ``options``.

    Typer reads options from a function's signature. Fourteen of them on each of eleven verbs, and
    the dataclass built from them, would be three hundred lines of the same.
    """
    hints = get_type_hints(DataOptions, include_extras=True)
    added = [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=option.default,
            annotation=hints[option.name],
        )
        for option in fields(DataOptions)
    ]
    own = inspect.signature(command, eval_str=True).parameters.values()
    kept = [
        option.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for option in own
        if option.name != "options"
    ]

    def with_options(**typed: Any) -> None:  # what Typer read, of the types that it was told
        data = DataOptions(**{option.name: typed.pop(option.name) for option in added})
        command(**typed, options=data)

    with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
    with_options.__annotations__ = {option.name: option.annotation for option in (*kept, *added)}
    with_options.__dict__["__signature__"] = inspect.Signature([*kept, *added])
    return with_options


def data_examples() -> list[tuple[str, str]]:
    """Returns an example of each data option and what it says, from the help of the options."""
    hints = get_type_hints(DataOptions, include_extras=True)
    pairs = [("--data reviews.csv", "Where the examples are.")]
    for option in fields(DataOptions):
        text, colon, example = hints[option.name].__metadata__[0].help.partition(": --")
        if colon:
            pairs.append((f"--{example.rstrip('.')}", f"{text}."))
    return pairs


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
