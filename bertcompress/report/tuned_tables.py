"""What a report says of best settings and of requests: tables for people, and sentences.

The rows are made once, as pairs of a value and its small print, and written by both the page and
the Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence

from bertcompress.bench.tuning import CandidateRate
from bertcompress.formatting import (
    bytes_text,
    millisecond_interval,
    milliseconds,
    rate_text,
    ratio_text,
    seconds_text,
    streams_text,
)
from bertcompress.report.figures import series_of
from bertcompress.report.markup import Content, Html, fold, named, section, table, tag, two_lines
from bertcompress.report.schema import VariantResult
from bertcompress.report.summary import Summary, VariantSummary

BEST_HEADING = "Each at its best settings"
SERVER_HEADING = "Requests that arrive at random"
Cells = list[tuple[str, str]]


def best_columns() -> list[str]:
    """Returns the headers of `best_rows`."""
    return ["variant", "one sentence, ms", "sentences/s", "tokens/s", "settings", "peak memory"]


def best_rows(summary: Summary) -> list[Cells]:
    """Returns what each variant reaches at its own settings, and which those are."""
    return [_best_row(variant) for variant in summary.variants if variant.result.tuning]


def best_sentences(summary: Summary) -> list[str]:
    """Returns how the settings were found and where they are kept."""
    tuned = [v.result.tuning for v in summary.variants if v.result.tuning]
    if not tuned:
        return []
    tried = max(len(one.candidates) for one in tuned)
    seconds = max(one.seconds for one in tuned)
    sentences = [
        f"Up to {tried} settings were tried on each, within {seconds_text(seconds)}: streams "
        "(runtimes side by side) times threads within the CPUs, batch size, and batches of "
        "similar length or as the texts come."
    ]
    if any(one.saved for one in tuned):
        sentences.append("They are saved with the artifacts; predict and evaluate use them.")
    for variant in summary.variants:
        own = variant.result.tuning
        if own is None or own.saved or variant.is_peer:
            continue
        why = "its folder has no manifest or can't be written"
        if own.unsteady is not None:
            why = f"two turns of the best differed by {own.unsteady:.0%}, so the machine was busy"
        sentences.append(f"Those of {variant.name} stand in this report only: {why}.")
    return sentences


def candidate_columns() -> list[str]:
    """Returns the headers of `candidate_rows`."""
    return ["settings", "sentences/s", "tokens/s", "of the best", "measured"]


def candidate_rows(candidates: Sequence[CandidateRate]) -> list[list[str]]:
    """Returns every setting that was tried on one variant, the best first."""
    best = candidates[0].tokens_per_s
    return [
        [
            streams_text(
                one.streams, one.threads, one.batch_size, sort_by_length=one.sort_by_length
            ),
            rate_text(one.sentences_per_s),
            rate_text(one.tokens_per_s),
            f"{one.tokens_per_s / best:.0%}",
            seconds_text(one.seconds),
        ]
        for one in candidates
    ]


def server_columns() -> list[str]:
    """Returns the headers of `server_rows`."""
    return ["variant", "requests/s", "p50, ms", "p99, ms", "requests", "answered by"]


def server_rows(summary: Summary) -> list[Cells]:
    """Returns the highest rate that each variant answered in time."""
    return [_server_row(variant.result) for variant in summary.variants if variant.result.server]


def server_sentence(summary: Summary) -> str:
    """Returns what was asked of the rate; empty if nothing was."""
    found = next((v.result.server for v in summary.variants if v.result.server), None)
    if found is None:
        return ""
    return (
        "Single sentences arrive as a Poisson process and wait in one queue; the rate is the "
        f"highest found whose p99, from arrival to answer, stays under "
        f"{seconds_text(found.bound_s)}. Nothing is batched."
    )


def best_section(summary: Summary) -> Html:
    """Returns the block for the page; empty where nothing was tuned and nothing served."""
    parts: list[Content] = []
    rows = best_rows(summary)
    if rows:
        caption = "Single sentences at the best number of threads, all at once at the best streams"
        parts.append(_table(summary, caption, best_columns(), rows))
        parts += [tag("p", sentence, "soft") for sentence in best_sentences(summary)]
        parts.append(_candidates(summary))
    served = server_rows(summary)
    if served:
        parts.append(_table(summary, SERVER_HEADING, server_columns(), served))
        parts.append(tag("p", server_sentence(summary), "soft"))
    return section("best", BEST_HEADING, *parts) if parts else Html("")


def best_markdown(summary: Summary) -> list[tuple[str, list[str], list[list[str]], list[str]]]:
    """Returns heading, columns, rows and sentences of each block for Markdown."""
    blocks = []
    rows = best_rows(summary)
    if rows:
        blocks.append((BEST_HEADING, best_columns(), _plain(rows), best_sentences(summary)))
    served = server_rows(summary)
    if served:
        sentence = [server_sentence(summary)]
        blocks.append((SERVER_HEADING, server_columns(), _plain(served), sentence))
    return blocks


def _best_row(variant: VariantSummary) -> Cells:
    tuning, offline = variant.result.tuning, variant.best_offline
    assert tuning is not None
    best, latency = tuning.settings, variant.best_latency or variant.latency
    cells: Cells = [(variant.name, ""), ("—", ""), ("—", ""), ("—", "")]
    if latency:
        threads = f"{best.latency_threads} thread{'' if best.latency_threads == 1 else 's'}"
        span = millisecond_interval(latency.median)
        cells[1] = (milliseconds(latency.median.estimate), f"{span}, {threads}")
    if offline:
        rate = offline.sentences_per_s
        speedup = f", {ratio_text(offline.speedup.estimate)}" if offline.speedup else ""
        span = f"{rate_text(rate.low)} to {rate_text(rate.high)}{speedup}"
        cells[2] = (rate_text(rate.estimate), span)
        cells[3] = (rate_text(offline.tokens_per_s), f"{offline.padding_fraction:.0%} padding")
    text = streams_text(
        best.streams, best.threads, best.batch_size, sort_by_length=best.sort_by_length
    )
    peak = variant.result.best_peak_bytes
    return [*cells, (text, ""), ("—" if peak is None else bytes_text(peak), "")]


def _server_row(result: VariantResult) -> Cells:
    found = result.server
    assert found is not None
    by = streams_text(found.streams, found.threads)
    if found.rate is None or found.p50_s is None or found.p99_s is None:
        slowest = min(trial.rate for trial in found.trials)
        return [
            (result.name, ""),
            ("none", f"not even {rate_text(slowest)}"),
            ("—", ""),
            ("—", ""),
            (f"{found.requests:,}", ""),
            (by, ""),
        ]
    return [
        (result.name, ""),
        (rate_text(found.rate), f"{len(found.trials)} rates tried"),
        (milliseconds(found.p50_s), ""),
        (milliseconds(found.p99_s), ""),
        (f"{found.requests:,}", ""),
        (by, ""),
    ]


def _table(summary: Summary, caption: str, columns: list[str], rows: Sequence[Cells]) -> Html:
    series = series_of(summary)
    body = [
        [named(series[row[0][0]], row[0][0]), *(two_lines(*cell) for cell in row[1:])]
        for row in rows
    ]
    return table(caption, columns, body)


def _candidates(summary: Summary) -> Html:
    tables = [
        table(
            f"{variant.name}: many texts at once, the last and longest slice of each",
            candidate_columns(),
            candidate_rows(variant.result.tuning.candidates),
        )
        for variant in summary.variants
        if variant.result.tuning
    ]
    return fold("All settings that were tried", *tables)


def _plain(rows: Sequence[Cells]) -> list[list[str]]:
    return [[f"{value} ({small})" if small else value for value, small in row] for row in rows]
