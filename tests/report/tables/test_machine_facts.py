"""Where it was measured."""

from __future__ import annotations

from dataclasses import replace

from bertcompress.report.schema import Report
from bertcompress.report.tables.machine_facts import machine_facts


def facts(report: Report) -> dict[str, str]:
    return {name.text: value.text for name, value in machine_facts(report).rows}


def test_what_the_system_does_not_tell_is_said(report: Report) -> None:
    silent = replace(
        report.environment,
        cpu_flags=(),
        governor=None,
        load_before=None,
        load_after=None,
        busy_fraction=None,
        steal_fraction=None,
        throttled_fraction=None,
        quota_cpus=None,
    )

    told = facts(replace(report, environment=silent))

    assert told["Instruction sets"] == "none of those that matter"
    assert told["Frequency governor"] == "not told by the system"
    assert told["Load at the start"] == "unknown"
    assert told["CPU time"] == "unknown"
    assert told["Container limit"] == "no limit"


def test_notes_on_the_data_are_numbered(report: Report) -> None:
    noted = replace(report.dataset, notes=("a column was guessed", "labels were converted"))

    told = facts(replace(report, dataset=noted))

    assert told["Note 1"] == "a column was guessed"
    assert told["Note 2"] == "labels were converted"
