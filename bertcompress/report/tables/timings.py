"""The tables of times and rates: percentiles, lengths, batches, and what starting costs."""

from __future__ import annotations

from collections.abc import Iterator

from bertcompress.formatting import (
    bytes_text,
    milliseconds,
    quantile_name,
    rate_text,
    ratio_text,
    seconds_text,
)
from bertcompress.report.summary import Summary
from bertcompress.report.tables.blocks import (
    Block,
    Cell,
    Column,
    Paragraph,
    Section,
    Table,
    text_table,
)
from bertcompress.report.variant_summary import Throughput, VariantSummary, joules_per_sentence

_THROUGHPUT = "Sentences a second, sorted by length"


def percentiles_section(summary: Summary) -> Section:
    """Returns the percentiles of one sentence, for text; the page has tails in its first table."""
    title = "Latency of one sentence, ms"
    measured = [(v.name, v.latency) for v in summary.variants if v.latency]
    if not measured:
        return Section("percentiles", title, ())
    quantiles = [quantile_name(p.quantile) for p in measured[0][1].percentiles]
    columns = ("variant", *quantiles, "variation")
    rows = []
    for name, latency in measured:
        values = [
            f"{p.missing:,} more samples" if p.value is None else milliseconds(p.value)
            for p in latency.percentiles
        ]
        variation = "—" if latency.variation is None else f"{latency.variation:.0%}"
        rows.append((name, *values, variation))
    return Section("percentiles", title, (text_table(title, columns, rows),), "text")


def lengths_section(summary: Summary) -> Section:
    """Returns the medians of the grid, for text; the page draws them."""
    title = "Median latency by batch and length, ms"
    cells = [latency.measurement for latency in summary.base.by_length]
    if not cells:
        return Section("lengths", title, ())
    names = [f"{cell.batch_size} × {cell.sequence_length} tokens" for cell in cells]
    rows = tuple(
        (
            Cell(variant.name),
            *(
                Cell(
                    milliseconds(latency.median.estimate),
                    ratio_text(latency.speedup.estimate) if latency.speedup else "",
                )
                for latency in variant.by_length
            ),
        )
        for variant in summary.variants
    )
    columns = (Column("variant"), *(Column(name) for name in names))
    return Section("lengths", title, (Table(title, columns, rows),), "text")


def throughput_section(summary: Summary) -> Section:
    """Returns throughput by batch size, for text."""
    blocks: list[Block] = [*_throughput_table(summary)]
    if blocks and summary.tokenization_s is not None:
        took = seconds_text(summary.tokenization_s)
        text = f"Tokenizing one example takes {took} more; no latency here includes it."
        blocks.append(Paragraph(text))
    return Section("throughput", _THROUGHPUT, tuple(blocks), "text")


def cost_section(summary: Summary) -> Section:
    """Returns throughput by batch size, start and memory, as the page has them together."""
    blocks: tuple[Block, ...] = (
        *_throughput_table(summary),
        _start_table(summary),
        *(Paragraph(sentence) for sentence in _cost_sentences(summary)),
    )
    return Section("cost", "Throughput, start and memory", blocks, "page")


def _throughput_table(summary: Summary) -> Iterator[Table]:
    """Yields the rates by batch size, if any; text has no table of starts, so they stand here."""
    batches = sorted({rate.batch_size for v in summary.variants for rate in v.throughput})
    if not batches:
        return
    series = summary.series
    padding = {rate.batch_size: rate.padding_fraction for rate in summary.base.throughput}
    columns = (
        Column("variant"),
        *(Column(f"batch {size}", f"{padding.get(size, 0.0):.0%} padding") for size in batches),
        Column("load", where="text"),
        Column("first answer", where="text"),
    )
    rows = []
    for variant in summary.variants:
        rates = {rate.batch_size: rate for rate in variant.throughput}
        row = [
            Cell(variant.name, series=series[variant.name]),
            *(_rate_cell(rates.get(size)) for size in batches),
            Cell(_seconds(variant.load_s)),
            Cell(_seconds(variant.first_answer_s)),
        ]
        rows.append(tuple(row))
    yield Table(_THROUGHPUT, columns, tuple(rows))


def _rate_cell(throughput: Throughput | None) -> Cell:
    if throughput is None:
        return Cell()
    tokens = f"{rate_text(throughput.tokens_per_s)} tokens/s"
    return Cell(rate_text(throughput.sentences_per_s.estimate), page_note=tokens)


def _cost_sentences(summary: Summary) -> Iterator[str]:
    if summary.tokenization_s is not None:
        text = f"Tokenizing one example takes {seconds_text(summary.tokenization_s)} more"
        yield f"{text} (median); no latency in this report includes it."
    if summary.base.result.memory:
        base = bytes_text(summary.base.result.memory[0].interpreter_bytes)
        yield f"{base} of the memory is Python itself before anything is loaded."


def _start_table(summary: Summary) -> Table:
    energy = {variant.name: _energy_text(variant) for variant in summary.variants}
    columns = [
        Column("variant"),
        Column("load"),
        Column("first answer", "after the start"),
        Column("memory", "loaded"),
        Column("memory", "peak, batch 1"),
        Column("memory", "peak, all batches"),
        Column("file", "zlib"),
        Column("whole folder"),
    ]
    if any(energy.values()):
        columns.append(Column("energy", "one sentence"))
    series, rows = summary.series, []
    for variant in summary.variants:
        memory, size = variant.result.memory, variant.result.size
        texts = [
            _seconds(variant.load_s),
            _seconds(variant.first_answer_s),
            _bytes(memory[0].loaded_bytes if memory else None),
            _bytes(variant.peak_bytes),
            _bytes(max((sample.peak_bytes for sample in memory), default=None)),
            _bytes(size.compressed_bytes),
            _bytes(size.folder_bytes),
            *([energy[variant.name] or "—"] if any(energy.values()) else []),
        ]
        name = Cell(variant.name, series=series[variant.name])
        rows.append((name, *(Cell(text) for text in texts)))
    title = "Start, memory and storage, medians over the rounds"
    return Table(title, tuple(columns), tuple(rows))


def _energy_text(variant: VariantSummary) -> str:
    joules = joules_per_sentence(variant.latency.measurement) if variant.latency else None
    return "" if joules is None else f"{joules * 1e3:.3g} mJ"


def _seconds(seconds: float | None) -> str:
    return "—" if seconds is None else seconds_text(seconds)


def _bytes(count: int | None) -> str:
    return "—" if count is None else bytes_text(count)
