"""What continuous integration reads."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

from bertcompress.gates.ci import (
    annotations_of,
    bigger_is_better,
    junit_of,
    smaller_is_better,
)
from bertcompress.gates.gate import GateResult
from bertcompress.report.schema import Report

RESULTS = (
    GateResult("INT8", "speedup", "passed", "INT8: 2.4× as fast"),
    GateResult("a < b", "drop", "failed", "lost 3 % & more\nthan allowed", is_accuracy=True),
    GateResult("INT4", "latency", "abstained", "between"),
)


def test_junit_has_a_case_for_each_gate() -> None:
    suite = ET.fromstring(junit_of(RESULTS).split("\n", 1)[1])[0]

    assert suite.attrib["tests"] == "3"
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("1", "1")
    assert [case.attrib["classname"] for case in suite] == ["INT8", "a < b", "INT4"]
    failure = suite[1].find("failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("lost 3 % & more")


def test_annotations_escape_their_message() -> None:
    error, warning = annotations_of(RESULTS)

    assert error == ("::error title=bertcompress gate drop::lost 3 %25 & more%0Athan allowed")
    assert warning.startswith("::warning title=bertcompress gate latency::")


def test_the_two_benchmark_files_point_their_own_way(report: Report) -> None:
    small, big = json.loads(smaller_is_better(report)), json.loads(bigger_is_better(report))

    assert {entry["unit"] for entry in small} == {"ms", "MB"}
    assert {entry["unit"] for entry in big} == {"share", "times", "sentences/s"}
    assert all({"name", "unit", "value"} <= set(entry) for entry in small + big)
    latency = next(entry for entry in small if entry["name"] == "INT8: latency p50")
    assert 1.0 < latency["value"] < 2.0
    assert float(latency["range"]) > 0
