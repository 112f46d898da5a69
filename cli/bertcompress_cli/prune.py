"""``bertcompress prune``: removes heads, feed-forward neurons and layers."""

from __future__ import annotations

from typing import Annotated

import typer

from bertcompress.errors import UsageError
from bertcompress_cli.options import (
    DataOptions,
    JsonOption,
    MaxLengthOption,
    ModelArgument,
    OutOption,
    OverwriteOption,
    takes_data,
)


@takes_data
def prune(
    model: ModelArgument = None,
    *,
    heads: Annotated[
        float | None, typer.Option(help="Fraction of all attention heads to remove, such as 0.3.")
    ] = None,
    ffn: Annotated[
        float | None, typer.Option(help="Fraction of all feed-forward neurons to remove.")
    ] = None,
    layers: Annotated[int | None, typer.Option(help="Number of layers to remove.")] = None,
    score: Annotated[
        str | None,
        typer.Option(
            help="Rank by fisher, taylor, magnitude or random and cut, with no re-fit. Left out: "
            "what the rest makes up for best goes, and the rest is re-fitted, with data."
        ),
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(help="With --score: rank over the whole model (global) or in each layer."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Examples that importance is measured on.")
    ] = None,
    multiple: Annotated[
        int | None, typer.Option(help="Layer widths are rounded to multiples of this.")
    ] = None,
    max_length: MaxLengthOption = None,
    allow_empty_layers: Annotated[
        bool,
        typer.Option("--allow-empty-layers", help="With --score: a layer may lose all its heads."),
    ] = False,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Remove heads, feed-forward neurons or layers."""
    from bertcompress_cli.place import place_of
    from bertcompress_cli.recipe import StepSpec
    from bertcompress_cli.run_verb import run_verb, typed

    if heads is None and ffn is None and layers is None:
        raise UsageError(
            "prune must know what to remove; give --heads 0.3, --ffn 0.3 or --layers 2"
        )
    place = place_of("prune", model, options, wants_checkpoint=True)
    measured = typed(samples=samples, max_length=max_length)
    ranked = {**measured, **typed(score=score, scope=scope)}
    empty = {"allow_empty_layers": True} if allow_empty_layers else {}
    steps = []
    if layers is not None:
        steps.append(StepSpec("prune-layers", {"count": layers, **measured}))
    if place.data is not None and ranked == measured and not empty:
        fractions = typed(heads=heads, ffn=ffn)
        if fractions:
            steps.append(StepSpec("prune", {**fractions, **measured, **typed(multiple=multiple)}))
        heads = ffn = None
    if heads is not None:
        steps.append(StepSpec("prune-heads", {"fraction": heads, **ranked, **empty}))
    if ffn is not None:
        widths = typed(multiple=multiple)
        steps.append(StepSpec("prune-ffn", {"fraction": ffn, **ranked, **widths}))
    guess = None
    if place.data is None and score is None and layers is None:
        guess = "no data was given, so the size of the weights decides; --data DATA is better"
    run_verb("prune", place, steps, out=out, overwrite=overwrite, as_json=as_json, remark=guess)
