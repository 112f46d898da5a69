"""A report's structure: as published, and of the baseline that it names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bertcompress.report.report_files import (
    SCHEMA_PATH,
    json_of,
    read_report,
    schema,
    write_report,
)
from bertcompress.report.schema import Report

JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}


def problems(
    value: object, rule: dict[str, object], parts: dict[str, dict[str, object]]
) -> list[str]:
    """Checks a value against the part of JSON Schema that the report's schema uses."""
    if "$ref" in rule:
        return problems(value, parts[str(rule["$ref"]).rpartition("/")[2]], parts)
    if "anyOf" in rule:
        options = rule["anyOf"]
        assert isinstance(options, list)
        tried = [problems(value, option, parts) for option in options]
        return [] if [] in tried else tried[0]
    if "enum" in rule:
        return [] if value in rule["enum"] else [f"{value!r} is not allowed"]  # type: ignore[operator]  # a list
    kind = str(rule["type"])
    if not isinstance(value, JSON_TYPES[kind]) or (kind != "boolean" and isinstance(value, bool)):
        return [f"{value!r} is no {kind}"]
    if isinstance(value, list):
        return [p for item in value for p in problems(item, rule["items"], parts)]  # type: ignore[arg-type]  # a rule
    if not isinstance(value, dict):
        return []
    found = [f"{name} is missing" for name in rule.get("required", []) if name not in value]  # type: ignore[attr-defined]  # a list
    known = rule.get("properties", {})
    assert isinstance(known, dict)
    other = rule.get("additionalProperties", {})
    for name, item in value.items():
        own = known.get(name, other)
        found += problems(item, own, parts) if own else []
    return found


def test_what_pruning_removed_is_written_and_read_back(
    explained_report: Report, tmp_path: Path
) -> None:
    files = write_report(explained_report, tmp_path)

    assert read_report(files.json) == explained_report
    rules = schema()
    parts = rules["$defs"]
    assert isinstance(parts, dict)
    plain = json.loads(files.json.read_text(encoding="utf-8"))
    assert problems(plain, rules, parts) == []  # type: ignore[arg-type]  # JSON


def test_the_published_schema_is_the_one_of_the_code() -> None:
    assert json.loads(SCHEMA_PATH.read_text(encoding="utf-8")) == schema()


def test_a_report_fits_its_schema_and_damage_does_not(report: Report) -> None:
    rules = schema()
    parts = rules["$defs"]
    assert isinstance(parts, dict)
    plain = json.loads(json_of(report))

    assert problems(plain, rules, parts) == []  # type: ignore[arg-type]  # JSON
    plain["results"][0]["size"]["file_bytes"] = "large"
    assert problems(plain, rules, parts) == ["'large' is no integer"]  # type: ignore[arg-type]  # JSON


def test_the_base_is_the_row_that_the_report_names(report: Report) -> None:
    assert report.base is report.results[0]
    assert replace(report, baseline="INT8").base.name == "INT8"
