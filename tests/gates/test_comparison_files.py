"""A comparison on disk."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.bench.rounds import EntrantRound, MemorySample, RoundResult
from bertcompress.codec import from_plain, to_plain
from bertcompress.errors import UsageError
from bertcompress.gates.comparison import COMPARISON_VERSION, Build, CompareSettings, Comparison
from bertcompress.gates.comparison_files import (
    benchmark_lists,
    comparison_json,
    comparison_markdown,
    headline,
    write_comparison,
)
from bertcompress.gates.gate import GateResult
from bertcompress.report.schema import Report, VariantResult
from bertcompress.stats.slowdown import Slowdown

GATES = (
    GateResult("head", "drop", "passed", "head: accuracy changed by ±0.00 points", True),
    GateResult("head", "slowdown", "failed", "head: 5.1 % slower than base | really"),
)


def build(name: str, result: VariantResult) -> Build:
    assert result.accuracy is not None
    return Build(
        name=name,
        runtime="ort-cpu",
        kind="onnx",
        size=result.size,
        operations=2_870_000_000,
        float_operations=None,
        kernels={"attention": 6},
        accuracy=result.accuracy,
        peak_bytes=200_000_000,
    )


def one_round() -> RoundResult:
    memory = MemorySample(1, 2, 3, 4)
    return RoundResult(
        tuple(
            EntrantRound(f"{at}", "ort-cpu", 0.2, 0.3, True, memory, ((ms * 1e-3, ms * 1e-3),))
            for at, ms in enumerate((3.0, 3.2, 3.2, 3.0))
        ),
        0.9,
        None,
    )


@pytest.fixture
def comparison(report: Report) -> Comparison:
    paired = report.results[2].paired
    assert paired is not None
    return Comparison(
        format_version=COMPARISON_VERSION,
        tool_version="0.1.0",
        command="bertcompress compare a b --data test.tsv",
        task="text-classification",
        dataset=report.dataset,
        settings=CompareSettings(),
        environment=report.environment,
        base=build("base", report.results[0]),
        head=build("head", report.results[2]),
        paired=paired,
        slowdown=Slowdown(0.0513, 0.042, 0.06, 0.018, 0.01, 5, 0.99),
        gates=GATES,
        rounds=(one_round(),),
        notes=("load 1.5 on 2 CPUs",),
    )


def test_all_files_are_written(comparison: Comparison, tmp_path: Path) -> None:
    files = write_comparison(comparison, tmp_path / "out")

    plain = json.loads(files.json.read_text(encoding="utf-8"))
    assert from_plain(Comparison, plain) == from_plain(Comparison, to_plain(comparison))
    assert plain["rounds"][0]["entrants"][1]["seconds"] == [[0.0032, 0.0032]]
    suite = ET.fromstring(files.junit.read_text(encoding="utf-8").split("\n", 1)[1])[0]
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("2", "1")
    assert json.loads(files.bigger.read_text(encoding="utf-8"))[0]["unit"] == "share"
    assert files.markdown.read_text(encoding="utf-8") == comparison_markdown(comparison)


def test_the_markdown_says_the_outcome_first_and_broken_gates_before_others(
    comparison: Comparison,
) -> None:
    text = comparison_markdown(comparison)

    assert text.startswith("# head is worse: slowdown\n")
    assert text.index("❌ failed | slowdown") < text.index("✅ passed | drop")
    assert "5.1 % slower than base \\| really" in text
    assert "| median of one sentence | 3.00 ms | 3.20 ms |" in text
    assert "| attention | 6 | 6 |" in text
    assert "head is 5.1 % slower than base (99 % bounds: +4.2 % and +6.0 %)" in text
    assert "- load 1.5 on 2 CPUs" in text
    assert "bertcompress compare a b --data test.tsv" in text


def test_the_headline_tells_failed_from_doubtful(comparison: Comparison) -> None:
    doubtful = replace(comparison, gates=(GATES[0], replace(GATES[1], state="abstained")))
    fine = replace(comparison, gates=GATES[:1])

    assert headline(doubtful) == "head is not shown to be worse; not decided: slowdown"
    assert headline(fine) == "head is not worse than base"


def test_without_speed_nothing_is_said_of_it(comparison: Comparison) -> None:
    plain = replace(comparison, slowdown=None, rounds=(), gates=GATES[:1])

    assert "sentence" not in comparison_markdown(plain).split("## Answers")[0]
    assert comparison_json(plain)["slowdown"] is None
    assert {entry["name"] for entry in map(dict, benchmark_lists(plain)[0])} == {
        "head: file",
        "head: peak memory",
    }


def test_the_lists_for_trends_hold_heads_figures(comparison: Comparison) -> None:
    smaller, bigger = benchmark_lists(comparison)

    assert {"name": "head: slowdown against base", "unit": "%", "value": 5.13, "range": "0.90"} in (
        smaller
    )
    assert bigger[0] == {
        "name": "head: accuracy",
        "unit": "share",
        "value": round(comparison.head.accuracy.value, 6),
    }


def test_a_folder_that_can_not_be_made_is_an_error(comparison: Comparison, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match="file is a file"):
        write_comparison(comparison, tmp_path / "file" / "out")
