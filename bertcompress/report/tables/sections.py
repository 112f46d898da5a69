"""A report's sections, in reading order."""

from __future__ import annotations

from bertcompress.report.schema import Report
from bertcompress.report.summary import Summary
from bertcompress.report.tables.blocks import Lines, Section
from bertcompress.report.tables.evidence import answers_section, classes_section, history_section
from bertcompress.report.tables.limits import limits_section
from bertcompress.report.tables.machine_facts import machine_facts
from bertcompress.report.tables.precision import precision_section
from bertcompress.report.tables.pruning import pruning_section
from bertcompress.report.tables.timings import (
    cost_section,
    lengths_section,
    percentiles_section,
    throughput_section,
)
from bertcompress.report.tables.tuned import best_section, requests_section
from bertcompress.report.tables.variants import variants_section


def sections_of(report: Report, summary: Summary) -> tuple[Section, ...]:
    """Returns everything that follows the verdict, without empty sections."""
    command = (Lines((report.command,), "The command"),) if report.command else ()
    sections = (
        variants_section(report, summary),
        percentiles_section(summary),
        lengths_section(summary),
        throughput_section(summary),
        cost_section(summary),
        best_section(summary),
        requests_section(summary),
        limits_section(report, summary),
        pruning_section(summary),
        precision_section(summary),
        answers_section(report, summary),
        classes_section(report, summary),
        history_section(summary),
        Section("machine", "Where it was measured", (machine_facts(report),)),
        Section("repeat", "Measure it again", command),
    )
    return tuple(section for section in sections if section.blocks)
