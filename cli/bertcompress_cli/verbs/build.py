"""``bertcompress build``: a TensorRT engine for this machine, beside the graph it was made from."""

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

_GRAPH, _SHAPES, _BUILDER = "Graph", "Shapes", "Builder"


@takes_data
def build(
    model: ModelArgument = None,
    *,
    goal: Annotated[
        str,
        typer.Option(
            "--for",
            help="latency (one text at a time), throughput (batches) or packed (batches without "
            "padding; from TensorRT 11.1 on).",
        ),
    ] = "latency",
    precision: Annotated[
        str | None,
        typer.Option(
            help="Make a graph of this first: int8, fp8, fp16 or bf16. Left out, the engine has "
            "the graph's own."
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="With --precision: the oldest TensorRT that reads the graph, as 8.5.",
            rich_help_panel=_GRAPH,
        ),
    ] = None,
    lengths: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            help="The longest text of each profile; from the data, if left out.",
            rich_help_panel=_SHAPES,
        ),
    ] = None,
    batches: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            help="The largest batch of each profile; 1, or 8,32,128.",
            rich_help_panel=_SHAPES,
        ),
    ] = None,
    max_length: MaxLengthOption = None,
    workspace: Annotated[
        str | None,
        typer.Option(help="Memory for a kernel, such as 4GiB.", rich_help_panel=_BUILDER),
    ] = None,
    builder_optimization_level: Annotated[
        int | None, typer.Option(help="0 to 5; TensorRT's is 3.", rich_help_panel=_BUILDER)
    ] = None,
    max_aux_streams: Annotated[
        int | None, typer.Option(help="Further streams for layers.", rich_help_panel=_BUILDER)
    ] = None,
    max_tactics: Annotated[
        int | None, typer.Option(help="Kernels timed for a layer.", rich_help_panel=_BUILDER)
    ] = None,
    timing_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Timings to read and to add to.", rich_help_panel=_BUILDER
        ),
    ] = None,
    tf32: Annotated[
        bool, typer.Option("--tf32", help="Let float32 be TF32.", rich_help_panel=_BUILDER)
    ] = False,
    strip_weights: Annotated[
        bool,
        typer.Option(
            "--strip-weights",
            help="Leave the weights out; they are read from the graph.",
            rich_help_panel=_BUILDER,
        ),
    ] = False,
    version_compatible: Annotated[
        bool,
        typer.Option(
            "--version-compatible", help="Newer TensorRTs load it too.", rich_help_panel=_BUILDER
        ),
    ] = False,
    hardware_compatibility_level: Annotated[
        str | None,
        typer.Option(help="none, ampere+ or same-compute-capability.", rich_help_panel=_BUILDER),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Largest difference to the graph that is allowed, relative.",
            rich_help_panel=_BUILDER,
        ),
    ] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    options: DataOptions,
) -> None:
    """Build a TensorRT engine for this GPU; export first if needed."""
    from bertcompress.recipes.build_recipe import BuildOptions, build_passes, check_platform
    from bertcompress_cli.make_artifact import run_verb
    from bertcompress_cli.place import place_of
    from bertcompress_cli.quantities import size_bytes, whole_numbers

    asked = BuildOptions(
        goal=goal,
        precision=precision,
        target=target,
        lengths=tuple(whole_numbers("lengths", lengths) or ()),
        batches=tuple(whole_numbers("batches", batches) or ()),
        max_length=max_length,
        workspace_bytes=size_bytes("workspace", workspace),
        optimization_level=builder_optimization_level,
        max_aux_streams=max_aux_streams,
        max_tactics=max_tactics,
        timing_cache=None if timing_cache is None else str(timing_cache),
        tf32=tf32,
        strip_weights=strip_weights,
        version_compatible=version_compatible,
        hardware=hardware_compatibility_level,
        tolerance=tolerance,
    )
    place = place_of("build", model, options)
    passes = build_passes(asked, seed=place.seed)
    check_platform()
    run_verb("build", place, passes, out=out, overwrite=overwrite, as_json=as_json)
