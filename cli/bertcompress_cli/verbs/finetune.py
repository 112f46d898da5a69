"""``bertcompress finetune``: trains a model on labelled examples, resumable."""

from __future__ import annotations

from typing import Annotated

import typer

from bertcompress_cli.options import (
    DataOptions,
    JsonOption,
    ModelArgument,
    OutOption,
    OverwriteOption,
    takes_data,
)

_TRAINING = "Training"


@takes_data
def finetune(
    model: ModelArgument = None,
    *,
    epochs: Annotated[float | None, typer.Option(help="Passes over the training data.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest of the schedule.")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Examples of one step.", rich_help_panel=_TRAINING),
    ] = None,
    max_length: Annotated[int | None, typer.Option(help="Longest text in tokens.")] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(help="Of AdamW.", rich_help_panel=_TRAINING),
    ] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Fine-tune on labelled data, with a new head if needed."""
    from bertcompress.recipes.recipe import or_default
    from bertcompress.train.finetune import Finetune
    from bertcompress_cli.make_artifact import run_verb
    from bertcompress_cli.place import place_of

    place = place_of("finetune", model, options, wants_checkpoint=True)
    place.required_data("finetune")
    passes = (
        Finetune(
            epochs=or_default(epochs, Finetune.epochs),
            learning_rate=or_default(learning_rate, Finetune.learning_rate),
            batch_size=or_default(batch_size, Finetune.batch_size),
            max_length=or_default(max_length, Finetune.max_length),
            weight_decay=or_default(weight_decay, Finetune.weight_decay),
            seed=place.seed,
        ),
    )
    run_verb("finetune", place, passes, out=out, overwrite=overwrite, as_json=as_json)
