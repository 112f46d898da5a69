"""``bertcompress predict``: answers as JSON lines."""

from __future__ import annotations

import json
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
    from bertcompress_cli.measured_data import Opened


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
    runtime: RuntimeOption = "auto",
    max_length: MaxLengthOption = None,
    threads: ThreadsOption = None,
    options: DataOptions,
) -> None:
    """Print the model's answers, one JSON object a line."""
    from bertcompress_cli.measured_data import open_model
    from bertcompress_cli.place import place_of
    from bertcompress_cli.progress import progress_on_stderr

    model, texts = _split(words or [])
    place = place_of("predict", model, options)
    if bool(texts) == (given is not None):
        raise UsageError(
            "predict takes texts or --input FILE; type: bertcompress predict MODEL 'a text'"
        )
    subject = open_model(place.model, task=place.task, runtime=runtime, max_length=max_length)
    if given is not None:
        examples = _read(given, options, subject, place.seed)
    else:
        examples = _examples(texts, pair, subject.task.name)
    with progress_on_stderr() as progress:
        answers = subject.answer(examples, threads=threads, progress=progress)
    for example, prediction in zip(examples, answers.predictions, strict=True):
        print(json.dumps(subject.task.to_json(example, prediction), ensure_ascii=False))


def _split(words: list[str]) -> tuple[str | None, list[str]]:
    """Tells the model from the texts: in a workspace the first word may be a text already."""
    from bertcompress.workspace import find_workspace

    if not words:
        return None, []
    if find_workspace(Path()) is not None and not Path(words[0]).is_dir():
        return None, words
    return words[0], words[1:]


def _read(given: Path, options: DataOptions, subject: Opened, seed: int) -> tuple[Example, ...]:
    from dataclasses import replace

    from bertcompress_cli.place import source_from_options

    source = source_from_options(replace(options, data=str(given)), None)
    assert source is not None
    data = source.load(
        "test",
        task=subject.task.name,
        label_kind=subject.task.label_kind,
        seed=seed,
        require_labels=False,
        whole=True,
    )
    return data.examples


def _examples(texts: list[str], pair: str | None, name: str) -> tuple[Example, ...]:
    from bertcompress.examples import QuestionExample, TextExample, TokenExample

    if name == "question-answering" and pair is None:
        raise UsageError("a question needs a context; type --pair 'the context'")
    if name == "question-answering":
        context = pair or ""
        return tuple(QuestionExample(f"text:{at}", q, context) for at, q in enumerate(texts, 1))
    if name == "token-classification":
        return tuple(TokenExample(f"text:{at}", tuple(t.split())) for at, t in enumerate(texts, 1))
    return tuple(TextExample(f"text:{at}", text, pair) for at, text in enumerate(texts, 1))
