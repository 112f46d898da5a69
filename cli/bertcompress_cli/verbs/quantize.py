"""``bertcompress quantize``: 8 or 4 bits, in a graph that stock ONNX Runtime runs."""

from __future__ import annotations

from pathlib import Path
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

_SEARCH = "Search of the fastest"
_RANGES = "Ranges"
_BLOCKS = "4 bits"
_FLOAT = "What stays in float, and where it runs"


@takes_data
def quantize(
    model: ModelArgument = None,
    *,
    bits: Annotated[int, typer.Option(help="8, or 4 for weights only.")] = 8,
    method: Annotated[
        str | None,
        typer.Option(
            help="With 8 bits: best (each timed and judged here), static (ranges found on data) or "
            "dynamic (as they come)."
        ),
    ] = None,
    ranges: Annotated[
        str | None,
        typer.Option(
            help="How static ranges are found: percentile, minmax, mean, entropy, mse or tokens.",
            rich_help_panel=_RANGES,
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(help="Examples that are run.", rich_help_panel=_RANGES),
    ] = None,
    max_drop: Annotated[
        str | None,
        typer.Option(help="What the metric may lose on held-out texts: 0.5% if not set."),
    ] = None,
    target_latency: Annotated[
        str | None,
        typer.Option(
            help="Take the most accurate within this time a text, such as 2ms.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    at_length: Annotated[
        int | None,
        typer.Option(
            help="Tokens of the texts timed; as long as the data's if not set.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="Threads of what is timed.", rich_help_panel=_SEARCH),
    ] = None,
    max_length: MaxLengthOption = None,
    table: Annotated[
        Path | None,
        typer.Option(help="A table that bertcompress calibrate wrote.", rich_help_panel=_RANGES),
    ] = None,
    keep_float: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A module or pattern that stays in float; repeatable.",
            rich_help_panel=_FLOAT,
        ),
    ] = None,
    no_embeddings: Annotated[
        bool,
        typer.Option(
            "--no-embeddings", help="Leave the embedding tables in float.", rich_help_panel=_FLOAT
        ),
    ] = False,
    block_size: Annotated[
        int | None,
        typer.Option(
            help="With 4 bits: weights that share a scale, 16 to 256.", rich_help_panel=_BLOCKS
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="With --method static or dynamic: the CPU it is made for, avx2, avx512, vnni or "
            "arm, if not this one.",
            rich_help_panel=_FLOAT,
        ),
    ] = None,
    rounding: Annotated[
        str | None,
        typer.Option(
            help="With 4 bits: gptq (with data, the default) or awq, or without data mse (then "
            "the default), hqq or rtn.",
            rich_help_panel=_BLOCKS,
        ),
    ] = None,
    target_size: Annotated[
        str | None,
        typer.Option(
            help="The graph's file may have this size, such as 12MB: each weight gets the 4 or 8 "
            "bits that cost the answers least."
        ),
    ] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Store weights in 8 or 4 bits; export first if needed."""
    from bertcompress.recipes.quantize_recipe import QuantizeOptions, quantize_pass
    from bertcompress_cli.make_artifact import run_verb
    from bertcompress_cli.place import place_of
    from bertcompress_cli.quantities import loss, seconds, size_bytes

    asked = QuantizeOptions(
        bits=bits,
        method=method,
        ranges=ranges,
        samples=samples,
        max_drop=loss("max-drop", max_drop),
        target_latency=seconds("target-latency", target_latency),
        length=at_length,
        threads=threads,
        max_length=max_length,
        table=None if table is None else str(table),
        keep_float=tuple(keep_float or ()),
        embeddings=not no_embeddings,
        block_size=block_size,
        target=target,
        rounding=rounding,
        target_size=size_bytes("target-size", target_size),
    )
    place = place_of("quantize", model, options)
    passes = (quantize_pass(asked, seed=place.seed),)
    run_verb("quantize", place, passes, out=out, overwrite=overwrite, as_json=as_json)
