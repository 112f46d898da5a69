"""``bertcompress quantize``: 8 or 4 bits, in a graph that stock ONNX Runtime runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
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
            help="How static ranges are found: percentile, minmax, mean, entropy, mse or tokens."
        ),
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Examples that are run.")] = None,
    max_drop: Annotated[
        str | None,
        typer.Option(help="What the metric may lose on held-out texts: 0.5% if not set."),
    ] = None,
    target_latency: Annotated[
        str | None,
        typer.Option(help="Take the most accurate within this time a text, such as 2ms."),
    ] = None,
    at_length: Annotated[
        int | None,
        typer.Option(help="Tokens of the texts timed; as long as the data's if not set."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of what is timed.")] = None,
    max_length: MaxLengthOption = None,
    table: Annotated[
        Path | None, typer.Option(help="A table that bertcompress calibrate wrote.")
    ] = None,
    keep_float: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A module or pattern that stays in float; repeatable."),
    ] = None,
    no_embeddings: Annotated[
        bool, typer.Option("--no-embeddings", help="Leave the embedding tables in float.")
    ] = False,
    block_size: Annotated[
        int | None, typer.Option(help="With 4 bits: weights that share a scale, 16 to 256.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="With --method static or dynamic: the CPU it is made for, avx2, avx512, vnni or "
            "arm, if not this one."
        ),
    ] = None,
    rounding: Annotated[
        str | None,
        typer.Option(
            help="With 4 bits: gptq (with data, the default) or awq, or without data mse (then "
            "the default), hqq or rtn."
        ),
    ] = None,
    target_size: Annotated[
        str | None,
        typer.Option(
            help="The graph's file may be so large, such as 12MB: each weight gets the 4 or 8 "
            "bits that cost the answers least."
        ),
    ] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Store weights in 8 or 4 bits; export first if needed."""
    from bertcompress.graph.products import HEADS
    from bertcompress.recipes.recipe import StepSpec
    from bertcompress_cli.make_artifact import run_verb, typed
    from bertcompress_cli.place import place_of
    from bertcompress_cli.quantities import fraction, seconds, size_bytes

    wanted = typed(
        max_drop=fraction("max-drop", max_drop),
        target_latency=seconds("target-latency", target_latency),
        length=at_length,
        threads=threads,
    )
    in_blocks = bits == 4 or target_size is not None
    _check_blocks(in_blocks, block_size, rounding)
    given = bool(ranges or table or (samples and not in_blocks))
    _check(bits, method, in_blocks=in_blocks, ranging=given)
    _check_search(in_blocks, method, wanted, table)
    _check_target(target, method, table)
    place = place_of("quantize", model, options)
    shared: dict[str, object] = {"embeddings": False} if no_embeddings else {}
    if keep_float:
        shared["keep_float"] = [*HEADS, *keep_float]
    ranging = typed(method=ranges, samples=samples, max_length=max_length)
    aimed = {**shared, **typed(target=target)}
    step = StepSpec("quantize-static", {**aimed, **ranging})
    if method != "static":
        step = StepSpec("quantize", {**shared, **ranging, **wanted})
    if table is not None:
        step = StepSpec("quantize-static", {**aimed, "table": str(table)})
    if in_blocks:
        sized = typed(target_size=size_bytes("target-size", target_size), block_size=block_size)
        fitted = typed(rounding=rounding, samples=samples, max_length=max_length)
        step = StepSpec("quantize-weights", {"bits": 4, **shared, **sized, **fitted})
    if method == "dynamic":
        step = StepSpec("quantize-dynamic", aimed)
    run_verb("quantize", place, [step], out=out, overwrite=overwrite, as_json=as_json)


def _check(bits: int, method: str | None, *, in_blocks: bool, ranging: bool) -> None:
    if bits not in (4, 8):
        raise UsageError(f"bits must be 8 or 4, got {bits}")
    if method not in (None, "best", "static", "dynamic"):
        raise UsageError(f"method must be best, static or dynamic, got {method!r}")
    if in_blocks and (method is not None or ranging):
        raise UsageError(
            "4 bits and a target size are for weights only, which need no method and no ranges"
        )
    if method == "dynamic" and ranging:
        raise UsageError("dynamic finds its ranges as it runs; leave --ranges, --samples, --table")


def _check_search(
    in_blocks: bool, method: str | None, wanted: Mapping[str, object], table: Path | None
) -> None:
    for name in wanted:
        option = {"length": "at-length"}.get(name, name.replace("_", "-"))
        if in_blocks or method in ("static", "dynamic") or table is not None:
            raise UsageError(
                f"{option} is for the search of the fastest INT8; leave it out, or leave --method, "
                "--table, --bits 4 and --target-size"
            )


def _check_target(target: str | None, method: str | None, table: Path | None) -> None:
    if target is not None and method not in ("static", "dynamic") and table is None:
        raise UsageError(
            "target is for --method static or dynamic: the search of the fastest INT8 times what "
            "runs on this machine, and 4 bits are the same everywhere"
        )


def _check_blocks(in_blocks: bool, block_size: int | None, rounding: str | None) -> None:
    if not in_blocks and (block_size is not None or rounding is not None):
        raise UsageError("block-size and rounding are for 4 bits; type --bits 4 or leave them out")
