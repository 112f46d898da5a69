"""``bertcompress gate``: bounds that a report must keep, for CI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertcompress.errors import UsageError
from bertcompress_cli.options import JsonOption


def gate(
    source: Annotated[
        Path, typer.Argument(metavar="REPORT", help="A report.json, or the folder that has one.")
    ],
    *,
    max_drop: Annotated[
        str | None, typer.Option(help="Allowed loss of the primary metric, such as 1%.")
    ] = None,
    min_speedup: Annotated[
        str | None, typer.Option(help="Speed-up over the baseline that is asked, such as 2.")
    ] = None,
    max_latency: Annotated[
        str | None, typer.Option(help="Median of one sentence, such as 5ms.")
    ] = None,
    max_size: Annotated[str | None, typer.Option(help="Of the model's file, such as 30MB.")] = None,
    max_memory: Annotated[
        str | None, typer.Option(help="Peak of the process, such as 400MB.")
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help="Only this variant; repeatable.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check bounds: exit 3 for accuracy, 4 for speed or size."""
    from dataclasses import asdict

    from bertcompress.bench.gate import GateLimits
    from bertcompress.bench.write_report import read_report
    from bertcompress_cli import quantities
    from bertcompress_cli.bench_report import check
    from bertcompress_cli.output import result

    limits = GateLimits(
        max_drop=quantities.fraction("max-drop", max_drop),
        min_speedup=quantities.ratio("min-speedup", min_speedup),
        max_latency_s=quantities.seconds("max-latency", max_latency),
        max_size_bytes=quantities.size_bytes("max-size", max_size),
        max_memory_bytes=quantities.size_bytes("max-memory", max_memory),
    )
    if limits == GateLimits():
        raise UsageError("gate needs a bound, such as --max-drop 1% or --min-speedup 2")
    results = check(read_report(source), limits, variants=variant or ())
    abstained = sum(one.state == "abstained" for one in results)
    text = f"{len(results) - abstained} of {len(results)} gates passed"
    if abstained:
        text += f", {abstained} abstained"
    result(text, {"gates": [asdict(one) for one in results]}, as_json=as_json)
