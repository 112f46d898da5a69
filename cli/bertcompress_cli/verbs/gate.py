"""``bertcompress gate``: bounds that a report must keep, for CI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertcompress.errors import UsageError
from bertcompress_cli.options import FailOnAbstainOption, JsonOption

_COUNTS = "What is counted"


def gate(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[REPORT]",
            help="A report.json, or the folder that has one; the newest here if left out.",
            show_default=False,
        ),
    ] = None,
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
        str | None,
        typer.Option(help="Peak of the process, such as 400MB.", rich_help_panel=_COUNTS),
    ] = None,
    max_parameters: Annotated[
        str | None, typer.Option(help="Weights, such as 12M.", rich_help_panel=_COUNTS)
    ] = None,
    max_operations: Annotated[
        str | None,
        typer.Option(help="Of one sentence of 128 tokens, such as 2.9G.", rich_help_panel=_COUNTS),
    ] = None,
    max_float_products: Annotated[
        int | None,
        typer.Option(
            help="Weight products that may run in float, such as 1.", rich_help_panel=_COUNTS
        ),
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help="Only this variant; repeatable.")
    ] = None,
    fail_on_abstain: FailOnAbstainOption = False,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FOLDER", help="Write JUnit XML and JSON for CI."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check bounds: exit 3 for accuracy, 4 for speed or size."""
    from dataclasses import asdict

    from bertcompress.gates.gate import GateLimits, check_gates, gates_sentence
    from bertcompress.report.report_files import read_report
    from bertcompress.report.summary import summarize
    from bertcompress.workspace import newest_report
    from bertcompress_cli import quantities
    from bertcompress_cli.output import note, result
    from bertcompress_cli.show_report import settle, tell_ci

    limits = GateLimits(
        max_drop=quantities.loss("max-drop", max_drop),
        min_speedup=quantities.ratio("min-speedup", min_speedup),
        max_latency_s=quantities.seconds("max-latency", max_latency),
        max_size_bytes=quantities.size_bytes("max-size", max_size),
        max_memory_bytes=quantities.size_bytes("max-memory", max_memory),
        max_parameters=quantities.count("max-parameters", max_parameters),
        max_operations=quantities.count("max-operations", max_operations),
        max_float_products=max_float_products,
    )
    if limits == GateLimits():
        raise UsageError("gate needs a bound, such as --max-drop 1% or --min-speedup 2")
    if source is None:
        source = newest_report(Path())
        note(f"these are the bounds of {source}, the newest report here")
    read = read_report(source)
    summary = summarize(read)
    results = check_gates(read, limits, variants=variant or (), summary=summary)
    tell_ci(read, summary, results, page=_page(source), out=out)
    settle(results, fail_on_abstain=fail_on_abstain)
    result(gates_sentence(results), {"gates": [asdict(one) for one in results]}, as_json=as_json)


def _page(source: Path) -> Path:
    """Returns where the report's page is."""
    from bertcompress.report.report_files import HTML_NAME

    return (source if source.is_dir() else source.parent) / HTML_NAME
