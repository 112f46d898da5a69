"""``bertcompress evaluate``: the metrics of a model, through the runtime that deploys it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from bertcompress_cli.options import (
    DataOptions,
    JsonOption,
    MaxLengthOption,
    ModelArgument,
    RuntimeOption,
    ThreadsOption,
    takes_data,
)

if TYPE_CHECKING:
    from bertcompress.tasks import Score


@takes_data
def evaluate(
    model: ModelArgument = None,
    *,
    reference: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="The original, for embeddings without numbers."),
    ] = None,
    runtime: RuntimeOption = "auto",
    max_length: MaxLengthOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Print the metrics of a model on labelled data."""
    from bertcompress.inference.predictor import Predictor
    from bertcompress.recipes.measure import measured_data, note_trained_rows
    from bertcompress_cli.output import note, notes
    from bertcompress_cli.place import place_of
    from bertcompress_cli.progress import progress_on_stderr

    place = place_of("evaluate", model, options)
    source = place.required_data("evaluate")
    opened = Predictor.open(
        place.model,
        task=place.task,
        runtime=runtime,
        threads=threads,
        max_length=max_length,
        note=note,
    )
    data = measured_data(source, opened, seed=place.seed, whole=options.data is not None, note=note)
    trained_on = note_trained_rows(opened, data, note=note)
    with progress_on_stderr() as progress:
        with opened:
            answers = opened.predict(data.examples, progress=progress)
        compared = None
        if reference is not None:
            with Predictor.open(
                reference, task=place.task, threads=threads, max_length=max_length, note=note
            ) as original:
                compared = original.predict(data.examples).predictions
    score = opened.task.score(answers.predictions, data.examples, reference=compared)
    about = {
        "model": place.model,
        "runtime": opened.runtime,
        "data": data.source,
        "split": data.split,
        "trained_on": trained_on,
    }
    notes(score.notes)
    _print(score, about, as_json=as_json)


def _print(score: Score, about: Mapping[str, object], *, as_json: bool) -> None:
    from dataclasses import asdict

    from bertcompress.formatting import metric_name, metric_text
    from bertcompress_cli.output import result, table

    facts: dict[str, object] = {
        **about,
        "count": score.count,
        "metric": score.primary,
        "value": score.value,
        "values": dict(score.values),
        "per_class": {name: asdict(one) for name, one in score.per_class.items()},
        "notes": list(score.notes),
    }
    if as_json:
        result("", facts, as_json=True)
        return
    rows = [(metric_name(name), metric_text(name, value)) for name, value in score.values.items()]
    table((f"{score.count:,} examples, {about['runtime']}", ""), rows)
    if score.per_class:
        table(
            ("class", "precision", "recall", "F1", "examples"),
            [
                (name, f"{c.precision:.4f}", f"{c.recall:.4f}", f"{c.f1:.4f}", f"{c.support:,}")
                for name, c in score.per_class.items()
            ],
        )
