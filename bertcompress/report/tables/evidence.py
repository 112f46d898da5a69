"""The evidence: answers that changed, figures of each class, and how each variant was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bertcompress.bench.paired import Flip, Paired
from bertcompress.formatting import (
    bytes_text,
    change_interval,
    change_number,
    count_text,
    p_text,
    seconds_text,
)
from bertcompress.report.schema import HistoryCell, HistoryLine, HistoryTable, Report
from bertcompress.report.summary import Summary
from bertcompress.report.tables.blocks import (
    Block,
    Cell,
    Column,
    Fold,
    Heading,
    Row,
    Section,
    Table,
    text_table,
)
from bertcompress.tasks.base import ClassScore

PAGE_FLIPS, TEXT_FLIPS = 25, 5
"""Changed answers that are shown of each variant."""


def answers_section(report: Report, summary: Summary) -> Section:
    """Returns who answers differently, and the examples."""
    heading = f"Answers that changed from {report.baseline}"
    paired = {v.name: v.result.paired for v in summary.variants if v.result.paired is not None}
    if not paired:
        return Section("answers", heading, ())
    series = summary.series
    peers = {variant.name for variant in summary.variants if variant.is_peer}
    shown = {name: flips for name, flips in paired.items() if flips.flips and name not in peers}
    columns = ("variant", "same answer", "changed", "worse", "better")
    table = Table(
        title=f"Against {report.baseline} on the same {report.dataset.count:,} examples",
        columns=(
            *(Column(column) for column in columns),
            Column("change", where="page"),
            Column("test"),
            Column("logit KL, nats", text_title="logit KL"),
        ),
        rows=tuple(
            _answers_row(name, series[name], comparison) for name, comparison in paired.items()
        ),
    )
    return Section(
        "answers",
        heading,
        (
            table,
            *_text_flips(shown),
            *(_page_flips(name, comparison) for name, comparison in shown.items()),
        ),
    )


def _answers_row(name: str, series: int, paired: Paired) -> Row:
    texts = (
        f"{paired.agreement:.2%}",
        f"{paired.flip_count:,}",
        f"{paired.lost:,}",
        f"{paired.gained:,}",
        f"{change_number(paired.metric, paired.difference.estimate)} "
        f"({change_interval(paired.metric, paired.difference)})",
        f"{p_text(paired.p_value)}, {paired.test}",
        "—" if paired.logit_kl is None else f"{paired.logit_kl:.4f}",
    )
    return (Cell(name, series=series), *(Cell(text) for text in texts))


def _text_flips(shown: Mapping[str, Paired]) -> list[Table]:
    """Returns the first changed answers of all variants in one table, none without any."""
    rows = [
        (name, flip.text, flip.gold, flip.base, flip.answer)
        for name, paired in shown.items()
        for flip in paired.flips[:TEXT_FLIPS]
    ]
    columns = ("variant", "text", "right answer", "before", "after")
    return [text_table("Worst first", columns, rows, where="text")] if rows else []


def _page_flips(name: str, paired: Paired) -> Fold:
    flips = paired.flips[:PAGE_FLIPS]
    rest = "" if len(flips) == paired.flip_count else f", the first {len(flips)} shown"
    table = Table(
        title=f"{name}: worst first",
        columns=tuple(Column(title) for title in ("text", "right answer", "before", "after")),
        rows=tuple(_flip_row(flip) for flip in flips),
        kind="words",
    )
    return Fold(f"{name}: {paired.flip_count:,} changed answers{rest}", (table,))


def _flip_row(flip: Flip) -> Row:
    return (
        Cell(flip.text),
        Cell(flip.gold),
        _answer(flip.base, flip.base_score, flip.base_correct),
        _answer(flip.answer, flip.score, flip.correct),
    )


def _answer(answer: str, score: float | None, correct: float) -> Cell:
    note = "" if score is None else f"{score:.2f}"
    return Cell(answer, page_note=note, is_right=correct >= 1.0)


def classes_section(report: Report, summary: Summary) -> Section:
    """Returns precision, recall and F1 of each class, the baseline's and the change of each."""
    base = summary.base.result.accuracy
    if base is None or not base.per_class:
        return Section("classes", "Class by class", ())
    others = {
        variant.name: variant.result.accuracy.per_class
        for variant in summary.own
        if variant.result.accuracy and not variant.is_baseline
    }
    names = (report.baseline, *others)
    rows = tuple(
        (
            Cell(label),
            Cell(f"{score.support:,}"),
            _class_cell(score),
            *(_class_cell(classes.get(label), before=score) for classes in others.values()),
        )
        for label, score in base.per_class.items()
    )
    table = Table(
        title="F1 of each class in percent, its change in points, precision and recall below",
        columns=(
            Column("class"),
            Column("examples"),
            *(Column(name, "precision / recall") for name in names),
        ),
        rows=rows,
    )
    return Section("classes", "Class by class", (table,), "page")


def _class_cell(score: ClassScore | None, before: ClassScore | None = None) -> Cell:
    if score is None:
        return Cell()
    change = f" ({change_number('f1', score.f1 - before.f1)})" if before else ""
    both = f"{score.precision * 100:.1f} / {score.recall * 100:.1f}"
    return Cell(f"{score.f1 * 100:.1f}{change}", page_note=both)


def history_section(summary: Summary) -> Section:
    """Returns how each variant was made: steps, per-layer tables, kernels, notes."""
    series, blocks = summary.series, list[Block]()
    columns = ("step", "settings", "took", "weights", "bytes")
    for variant in summary.variants:
        lines = variant.result.history
        if not lines:
            continue
        rows = [_step_row(line) for line in lines]
        blocks.append(Heading(variant.name, series[variant.name]))
        blocks.append(text_table(f"How {variant.name} was made", columns, rows, kind="words"))
        blocks += [_details(line) for line in lines if line.tables or line.notes]
    return Section("history", "How each was made", tuple(blocks), "page")


def _step_row(line: HistoryLine) -> Sequence[str]:
    weights = "—"
    if line.parameters_before and line.parameters_after:
        before, after = count_text(line.parameters_before), count_text(line.parameters_after)
        weights = after if before == after else f"{before} → {after}"
    size = f"{bytes_text(line.bytes_before)} → {bytes_text(line.bytes_after)}"
    return (line.name, line.settings or "—", seconds_text(line.seconds), weights, size)


def _details(line: HistoryLine) -> Fold:
    names = [table.title for table in line.tables] + (["notes"] if line.notes else [])
    tables = tuple(_detail_table(table) for table in line.tables)
    return Fold(f"{line.name}: {', '.join(names)}", tables, line.notes)


def _detail_table(table: HistoryTable) -> Table:
    """Returns a table of a pass; columns of whole numbers get a bar for the eye."""
    tops = [0.0, *(_top(table, column) for column in range(1, len(table.columns)))]
    rows = tuple(
        tuple(_detail_cell(cell, top) for cell, top in zip(row, tops, strict=True))
        for row in table.rows
    )
    return Table(table.title, tuple(Column(column) for column in table.columns), rows)


def _top(table: HistoryTable, column: int) -> float:
    """Returns the largest number of a before/after column and its partner, 0 for any other."""
    name = table.columns[column]
    stem = name.removesuffix(" before").removesuffix(" after")
    if stem == name:
        return 0.0
    partners = [i for i, other in enumerate(table.columns) if other.startswith(f"{stem} ")]
    cells = [row[i] for row in table.rows for i in partners]
    numbers = [c for c in cells if isinstance(c, int | float) and not isinstance(c, bool)]
    return float(max(numbers, default=0.0))


def _detail_cell(cell: HistoryCell, top: float) -> Cell:
    if top > 0 and isinstance(cell, int | float) and not isinstance(cell, bool):
        return Cell(_detail_text(cell), bar=max(1, round(60 * cell / top)))
    return Cell(_detail_text(cell))


def _detail_text(cell: HistoryCell) -> str:
    if cell is None:
        return "—"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return f"{cell:,}" if isinstance(cell, int) else cell
