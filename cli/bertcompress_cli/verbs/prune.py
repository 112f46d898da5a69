"""``bertcompress prune``: removes heads, feed-forward neurons and layers."""

from __future__ import annotations

from typing import Annotated

import typer

from bertcompress_cli.options import (
    DataOptions,
    JsonOption,
    MaxLengthOption,
    ModelArgument,
    OutOption,
    OverwriteOption,
    takes_data,
)

_TARGETS, _MORE, _TRAINING = "Targets", "What else leaves", "Training"
_RANKING, _MEASURING = "Rank and cut", "Measuring"


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
    layers: Annotated[
        int | None,
        typer.Option(help="Number of layers to remove.", rich_help_panel=_MORE),
    ] = None,
    target_speedup: Annotated[
        float | None,
        typer.Option(
            help="Remove heads and neurons until one sentence is this many times as fast here, "
            "such as 1.5; it is measured."
        ),
    ] = None,
    target_latency: Annotated[
        str | None,
        typer.Option(
            help="Until one sentence takes this long here, such as 5ms.", rich_help_panel=_TARGETS
        ),
    ] = None,
    target_params: Annotated[
        str | None,
        typer.Option(
            help="Until the model has this many parameters, 12M, or this part, 0.6.",
            rich_help_panel=_TARGETS,
        ),
    ] = None,
    target_flops: Annotated[
        str | None,
        typer.Option(
            help="Until a text takes this many operations, 0.3G, or this part, 0.5.",
            rich_help_panel=_TARGETS,
        ),
    ] = None,
    min_agreement: Annotated[
        str | None,
        typer.Option(
            help="Fail if fewer answers than this stay the same, such as 95%.",
            rich_help_panel=_TARGETS,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="With a target in time: what will be deployed, fp32 (default) or int8.",
            rich_help_panel=_TARGETS,
        ),
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            help="With a target in time: what will run it, ort-cpu or openvino.",
            rich_help_panel=_TARGETS,
        ),
    ] = None,
    at_length: Annotated[
        int | None,
        typer.Option(
            help="With a target in time: tokens of each sentence timed, not the data's.",
            rich_help_panel=_TARGETS,
        ),
    ] = None,
    vocabulary: Annotated[
        bool,
        typer.Option(
            "--vocabulary",
            help="Remove the tokens that the data does not use.",
            rich_help_panel=_MORE,
        ),
    ] = False,
    recover: Annotated[
        float | None,
        typer.Option(
            help="Then train this many epochs to answer as the model before; no labels needed.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            help="With --recover: prune in this many rounds, training after each.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            help="Write a stock BERT that loads anywhere: uniform (all heads, the widest layer's "
            "neurons) or dense (zeros for what was removed, not faster).",
            rich_help_panel=_MORE,
        ),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(
            help="Rank by fisher, true-fisher, taylor, wanda, obs, magnitude or random and cut, "
            "with no re-fit. Left out: what the rest makes up for best goes, with a re-fit.",
            rich_help_panel=_RANKING,
        ),
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(
            help="With --score: rank over the whole model (global) or in each layer.",
            rich_help_panel=_RANKING,
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(help="Examples that importance is measured on.", rich_help_panel=_MEASURING),
    ] = None,
    multiple: Annotated[
        int | None,
        typer.Option(
            help="Layer widths are rounded to multiples of this.", rich_help_panel=_MEASURING
        ),
    ] = None,
    max_length: MaxLengthOption = None,
    allow_empty_layers: Annotated[
        bool,
        typer.Option(
            "--allow-empty-layers",
            help="With --score: a layer may lose all its heads.",
            rich_help_panel=_RANKING,
        ),
    ] = False,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Remove heads, feed-forward neurons or layers."""
    from bertcompress.recipes.prune_recipe import PruneOptions, prune_passes, remark_on
    from bertcompress_cli.make_artifact import run_verb
    from bertcompress_cli.place import place_of
    from bertcompress_cli.quantities import amount, fraction, seconds

    asked = PruneOptions(
        heads=heads,
        ffn=ffn,
        layers=layers,
        target_speedup=target_speedup,
        target_latency=seconds("target-latency", target_latency),
        target_params=amount("target-params", target_params),
        target_flops=amount("target-flops", target_flops),
        min_agreement=fraction("min-agreement", min_agreement),
        precision=precision,
        runtime=runtime,
        length=at_length,
        vocabulary=vocabulary,
        recover=recover,
        rounds=rounds,
        layout=layout,
        score=score,
        scope=scope,
        allow_empty_layers=allow_empty_layers,
        samples=samples,
        multiple=multiple,
        max_length=max_length,
    )
    place = place_of("prune", model, options, wants_checkpoint=True)
    has_data = place.data is not None
    run_verb(
        "prune",
        place,
        prune_passes(asked, has_data=has_data, seed=place.seed),
        out=out,
        overwrite=overwrite,
        as_json=as_json,
        remark=remark_on(asked, has_data=has_data),
    )
