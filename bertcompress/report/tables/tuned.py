"""The variants at their best settings, and the requests that they bear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bertcompress.bench.request_rate import ServerResult
from bertcompress.bench.tuning import Tuning
from bertcompress.formatting import (
    bytes_text,
    millisecond_interval,
    milliseconds,
    rate_text,
    ratio_text,
    seconds_text,
    streams_text,
)
from bertcompress.report.summary import Summary
from bertcompress.report.tables.blocks import (
    Cell,
    Column,
    Fold,
    Paragraph,
    Row,
    Section,
    Table,
    text_table,
)
from bertcompress.report.variant_summary import VariantSummary, settings_text

BEST_HEADING = "Each at its best settings"
REQUESTS_HEADING = "Requests that arrive at random"


def best_section(summary: Summary) -> Section:
    """Returns what each variant reaches at its own settings, how they were found, and all tried."""
    tuned = [(v, v.result.tuning) for v in summary.variants if v.result.tuning]
    if not tuned:
        return Section("best", BEST_HEADING, ())
    columns = ("variant", "one sentence, ms", "sentences/s", "tokens/s", "settings", "peak memory")
    series = summary.series
    table = Table(
        title="Single sentences at the best number of threads, all at once at the best streams",
        columns=tuple(Column(column) for column in columns),
        rows=tuple(_best_row(variant, tuning, series[variant.name]) for variant, tuning in tuned),
    )
    tried = tuple(candidates_table(variant.name, tuning) for variant, tuning in tuned)
    sentences = Paragraph(" ".join(_how_found(tuned)))
    return Section(
        "best", BEST_HEADING, (table, sentences, Fold("All settings that were tried", tried))
    )


def _best_row(variant: VariantSummary, tuning: Tuning, series: int) -> Row:
    best, latency = tuning.settings, variant.best_latency or variant.latency
    single = Cell()
    if latency:
        threads = f"{best.latency_threads} thread{'' if best.latency_threads == 1 else 's'}"
        note = f"{millisecond_interval(latency.median)}, {threads}"
        single = Cell(milliseconds(latency.median.estimate), note)
    peak = variant.result.best_peak_bytes
    return (
        Cell(variant.name, series=series),
        single,
        *_offline_cells(variant),
        Cell(settings_text(best)),
        Cell() if peak is None else Cell(bytes_text(peak)),
    )


def _offline_cells(variant: VariantSummary) -> tuple[Cell, Cell]:
    offline = variant.best_offline
    if offline is None:
        return Cell(), Cell()
    rate = offline.sentences_per_s
    speedup = f", {ratio_text(offline.speedup.estimate)}" if offline.speedup else ""
    span = f"{rate_text(rate.low)} to {rate_text(rate.high)}{speedup}"
    padding = f"{offline.padding_fraction:.0%} padding"
    return Cell(rate_text(rate.estimate), span), Cell(rate_text(offline.tokens_per_s), padding)


def _how_found(tuned: Sequence[tuple[VariantSummary, Tuning]]) -> Iterator[str]:
    """Yields how the settings were found and where they are kept."""
    tried = max(len(tuning.candidates) for _, tuning in tuned)
    seconds = max(tuning.seconds for _, tuning in tuned)
    yield (
        f"Up to {tried} settings were tried on each, within {seconds_text(seconds)}: streams "
        "(runtimes side by side) times threads within the CPUs, batch size, and batches of "
        "similar length or as the texts come."
    )
    if any(tuning.saved for _, tuning in tuned):
        yield "They are saved with the artifacts; predict and evaluate use them."
    for variant, tuning in tuned:
        if tuning.saved or variant.is_peer:
            continue
        why = "its folder has no manifest or can't be written"
        if tuning.unsteady is not None:
            apart = f"{tuning.unsteady:.0%}"
            why = f"two turns of the best differed by {apart}, so the machine was busy"
        yield f"Those of {variant.name} stand in this report only: {why}."


def candidates_table(name: str, tuning: Tuning) -> Table:
    """Returns every setting that was tried on one variant, the best first."""
    best = tuning.candidates[0].tokens_per_s
    rows = [
        (
            settings_text(candidate),
            rate_text(candidate.sentences_per_s),
            rate_text(candidate.tokens_per_s),
            f"{candidate.tokens_per_s / best:.0%}",
            seconds_text(candidate.seconds),
        )
        for candidate in tuning.candidates
    ]
    title = f"{name}: many texts at once, the last and longest slice of each"
    columns = ("settings", "sentences/s", "tokens/s", "of the best", "measured")
    return text_table(title, columns, rows)


def requests_section(summary: Summary) -> Section:
    """Returns the highest rate that each variant answered in time, and what was asked of it."""
    served = [(v.name, v.result.server) for v in summary.variants if v.result.server]
    if not served:
        return Section("requests", REQUESTS_HEADING, ())
    series = summary.series
    columns = ("variant", "requests/s", "p50, ms", "p99, ms", "requests", "answered by")
    table = Table(
        title=REQUESTS_HEADING,
        columns=tuple(Column(column) for column in columns),
        rows=tuple(
            (Cell(name, series=series[name]), *_server_cells(server)) for name, server in served
        ),
    )
    sentence = (
        "Single sentences arrive as a Poisson process and wait in one queue; the rate is the "
        f"highest found whose p99, from arrival to answer, stays under "
        f"{seconds_text(served[0][1].bound_s)}. Nothing is batched."
    )
    return Section("requests", REQUESTS_HEADING, (table, Paragraph(sentence)))


def _server_cells(server: ServerResult) -> Row:
    requests, by = Cell(f"{server.requests:,}"), Cell(streams_text(server.streams, server.threads))
    if server.rate is None or server.p50_s is None or server.p99_s is None:
        slowest = min(trial.rate for trial in server.trials)
        return (Cell("none", f"not even {rate_text(slowest)}"), Cell(), Cell(), requests, by)
    return (
        Cell(rate_text(server.rate), f"{len(server.trials)} rates tried"),
        Cell(milliseconds(server.p50_s)),
        Cell(milliseconds(server.p99_s)),
        requests,
        by,
    )
