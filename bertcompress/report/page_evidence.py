"""The evidence of the HTML page: answers, classes, history, machine, command."""

from __future__ import annotations

from html import escape

from bertcompress.bench.paired import Flip, Paired
from bertcompress.formatting import (
    bytes_text,
    change_interval,
    change_number,
    count_text,
    p_text,
    seconds_text,
)
from bertcompress.report.figures import own_variants, series_of
from bertcompress.report.markup import (
    Content,
    Html,
    bullets,
    facts,
    fold,
    named,
    section,
    table,
    tag,
    two_lines,
)
from bertcompress.report.schema import Cell, HistoryLine, Report, Table
from bertcompress.report.summary import Summary, VariantSummary, joules_per_sentence
from bertcompress.tasks.base import ClassScore

SHOWN_FLIPS = 25


def answers_section(report: Report, summary: Summary) -> Html:
    """Returns who answers differently, and the examples."""
    compared = [v for v in summary.variants if v.result.paired is not None]
    if not compared:
        return Html("")
    series, folds = series_of(summary), []
    rows: list[list[Content]] = []
    for variant in compared:
        paired = variant.result.paired
        if paired is None:
            continue
        divergence = "—" if paired.logit_kl is None else f"{paired.logit_kl:.4f}"
        rows.append(
            [
                named(series[variant.name], variant.name),
                f"{paired.agreement:.2%}",
                f"{paired.flip_count:,}",
                f"{paired.lost:,}",
                f"{paired.gained:,}",
                f"{change_number(paired.metric, paired.difference.estimate)} "
                f"({change_interval(paired.metric, paired.difference)})",
                f"{p_text(paired.p_value)}, {paired.test}",
                divergence,
            ]
        )
        if paired.flips and not variant.is_peer:
            folds.append(_flips(variant, paired))
    columns: list[Content] = [
        "variant",
        "same answer",
        "changed",
        "worse",
        "better",
        "change",
        "test",
        "logit KL, nats",
    ]
    caption = f"Against {report.baseline} on the same {report.dataset.count:,} examples"
    return section(
        "answers",
        "Answers that changed",
        table(caption, columns, rows),
        *folds,
    )


def _flips(variant: VariantSummary, paired: Paired) -> Html:
    shown = paired.flips[:SHOWN_FLIPS]
    rows = [[flip.text, flip.gold, *_both(flip)] for flip in shown]
    rest = "" if len(shown) == paired.flip_count else f", the first {len(shown)} shown"
    title = f"{variant.name}: {paired.flip_count:,} changed answers{rest}"
    columns: list[Content] = ["text", "right answer", "before", "after"]
    content = table(f"{variant.name}: worst first", columns, rows, kind="words")
    return fold(title, content)


def _both(flip: Flip) -> tuple[Content, Content]:
    before = _scored(flip.base, flip.base_score, right=flip.base_correct >= 1.0)
    return before, _scored(flip.answer, flip.score, right=flip.correct >= 1.0)


def _scored(answer: str, score: float | None, *, right: bool) -> Html:
    number = "" if score is None else f" {score:.2f}"
    sign = "✓" if right else "✗"
    kind = "good" if right else "bad"
    word = "right" if right else "wrong"
    return Html(
        f'<span class="{kind}" role="img" aria-label="{word}">{sign}</span> '
        f'{escape(answer)}<span class="soft">{number}</span>'
    )


def classes_section(report: Report, summary: Summary) -> Html:
    """Returns precision, recall and F1 of each class, the baseline's and the change of each."""
    base = summary.base.result.accuracy
    if base is None or not base.per_class:
        return Html("")
    own = own_variants(summary)
    others = [v for v in own if not v.is_baseline and v.result.accuracy]
    columns: list[Content] = ["class", "examples"]
    columns += [
        two_lines(name, "precision / recall")
        for name in (report.baseline, *(variant.name for variant in others))
    ]
    rows = []
    for label, score in base.per_class.items():
        row: list[Content] = [
            label,
            f"{score.support:,}",
            two_lines(
                f"{score.f1 * 100:.1f}",
                f"{score.precision * 100:.1f} / {score.recall * 100:.1f}",
            ),
        ]
        for variant in others:
            accuracy = variant.result.accuracy
            after = accuracy.per_class.get(label) if accuracy else None
            row.append(_change_cell(score, after) if after else "—")
        rows.append(row)
    caption = "F1 of each class in percent, its change in points, precision and recall below"
    return section("classes", "Class by class", table(caption, columns, rows))


def _change_cell(before: ClassScore, after: ClassScore) -> Html:
    change = change_number("f1", after.f1 - before.f1)
    both = f"{after.precision * 100:.1f} / {after.recall * 100:.1f}"
    return two_lines(f"{after.f1 * 100:.1f} ({change})", both)


def history_section(summary: Summary) -> Html:
    """Returns how each variant was made: steps, per-layer tables, kernels, notes."""
    made = [variant for variant in summary.variants if variant.result.history]
    if not made:
        return Html("")
    series, parts = series_of(summary), []
    for variant in made:
        lines = variant.result.history
        parts.append(tag("h3", named(series[variant.name], variant.name)))
        columns: list[Content] = ["step", "settings", "took", "weights", "bytes"]
        rows = [_step_row(line) for line in lines]
        parts.append(table(f"How {variant.name} was made", columns, rows, kind="words"))
        parts += [fold(_fold_title(line), *_found(line)) for line in lines if _has_found(line)]
    return section("history", "How each was made", *parts)


def _step_row(line: HistoryLine) -> list[Content]:
    weights = "—"
    if line.parameters_before and line.parameters_after:
        before, after = count_text(line.parameters_before), count_text(line.parameters_after)
        weights = after if before == after else f"{before} → {after}"
    size = f"{bytes_text(line.bytes_before)} → {bytes_text(line.bytes_after)}"
    return [line.name, line.settings or "—", seconds_text(line.seconds), weights, size]


def _has_found(line: HistoryLine) -> bool:
    return bool(line.tables or line.notes)


def _fold_title(line: HistoryLine) -> str:
    names = [one.title for one in line.tables] + (["notes"] if line.notes else [])
    return f"{line.name}: {', '.join(names)}"


def _found(line: HistoryLine) -> list[Content]:
    parts: list[Content] = [_table_of(one) for one in line.tables]
    if line.notes:
        parts.append(bullets(line.notes))
    return parts


def _table_of(kept: Table) -> Html:
    """Writes a table of a pass; columns of whole numbers get a bar for the eye."""
    tops = [_top(kept, column) for column in range(len(kept.columns))]
    rows = [
        [
            _cell_text(cell) if column == 0 else _cell(cell, tops[column])
            for column, cell in enumerate(row)
        ]
        for row in kept.rows
    ]
    return table(kept.title, list(kept.columns), rows)


def _top(kept: Table, column: int) -> float:
    """Returns the largest number of a before/after column and its partner, 0 for any other."""
    name = kept.columns[column]
    stem = name.removesuffix(" before").removesuffix(" after")
    if stem == name:
        return 0.0
    partners = [i for i, other in enumerate(kept.columns) if other.startswith(f"{stem} ")]
    cells = [row[i] for row in kept.rows for i in partners]
    numbers = [c for c in cells if isinstance(c, int | float) and not isinstance(c, bool)]
    return float(max(numbers, default=0.0))


def _cell(cell: Cell, top: float) -> Content:
    if top > 0 and isinstance(cell, int | float) and not isinstance(cell, bool):
        width = max(1, round(60 * cell / top))
        return Html(f'<span class="bar" style="width:{width}px"></span>{_cell_text(cell)}')
    return _cell_text(cell)


def _cell_text(cell: Cell) -> str:
    if cell is None:
        return "—"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def machine_section(report: Report) -> Html:
    """Returns where and on what it was measured."""
    return section("machine", "Where it was measured", facts(machine_facts(report)))


def machine_facts(report: Report) -> list[tuple[str, str]]:
    """Returns the environment and the data as names and texts, in reading order."""
    machine, data, settings = report.environment, report.dataset, report.settings
    cores = f"{machine.affinity_cpus} of {machine.logical_cpus} usable"
    if machine.physical_cpus:
        cores += f", {machine.physical_cpus} physical"
    quota = "no limit" if machine.quota_cpus is None else f"{machine.quota_cpus:g} CPUs"
    shares = []
    if machine.busy_fraction is not None:
        shares.append(f"{machine.busy_fraction:.0%} busy during the timings")
    if machine.steal_fraction is not None:
        shares.append(f"{machine.steal_fraction:.1%} stolen by the hypervisor")
    if machine.throttled_fraction is not None:
        shares.append(f"{machine.throttled_fraction:.0%} of the quota's periods cut short")
    load = "unknown" if machine.load_before is None else f"{machine.load_before:g} CPUs busy before"
    if machine.load_after is not None:
        load += f", load {machine.load_after:g} at the end, the run itself included"
    libraries = ", ".join(f"{name} {version}" for name, version in machine.libraries.items())
    rounds = f"{settings.rounds} rounds of fresh processes, {settings.requests} single sentences"
    return [
        ("Date", machine.date),
        ("Processor", machine.cpu_model),
        ("Instruction sets", ", ".join(machine.cpu_flags) or "none of those that matter"),
        ("Cores", cores),
        ("Threads of each runtime", str(machine.threads)),
        ("Container limit", quota),
        ("Load at the start", load),
        ("CPU time", ", ".join(shares) or "unknown"),
        ("Energy", _energy_source(report)),
        ("Frequency governor", machine.governor or "not told by the system"),
        (
            "Memory",
            f"{bytes_text(machine.memory_bytes)}, {bytes_text(machine.available_bytes)} free",
        ),
        ("System", f"{machine.system}, {machine.python}"),
        ("Libraries", libraries),
        ("Data", f"{data.source}, {data.split}, {data.count:,} examples, {data.fingerprint}"),
        (
            "Lengths",
            f"median {data.length_median} tokens, nine in ten up to {data.length_p90}, "
            f"longest {data.length_maximum}",
        ),
        ("Measured", f"{rounds} in each, seed {settings.seed}"),
        *((f"Note {i + 1}", note) for i, note in enumerate(data.notes)),
    ]


def _energy_source(report: Report) -> str:
    if any(joules_per_sentence(m) is not None for r in report.results for m in r.measurements):
        return "of the whole processor package (RAPL)"
    return "not available: no RAPL counter that this process may read"


def repeat_section(report: Report) -> Html:
    """Returns the command that repeats the run."""
    if not report.command:
        return Html("")
    code = Html(
        '<pre tabindex="0" role="region" aria-label="The command">'
        f"<code>{escape(report.command)}</code></pre>"
    )
    return section("repeat", "Measure it again", code)
