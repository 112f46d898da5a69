"""A ladder's table: one row a step, its bounds beside its figures, absences by their reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.codec import from_plain
from bertcompress.errors import UsageError
from bertcompress.parity.bounds import Bounds
from bertcompress.parity.first_divergence import Divergence
from bertcompress.parity.step import ParityLadder, ParityStep
from bertcompress.parity.table import (
    absences,
    columns,
    failure,
    markdown,
    outcome,
    rows,
    write_parity,
)

WITHIN = ParityStep(
    artifact="int8|a",
    runtime="ort-cpu",
    precision="int8",
    bounds=Bounds(max_difference=0.01, min_sqnr=20.0, min_agreement=0.95, max_drop=0.02),
    max_difference=0.02,
    mean_difference=0.003,
    largest_output=5.0,
    sqnr_db=None,
    agreement=0.98,
    value=0.9,
    drop=0.01,
)
OUTSIDE = replace(WITHIN, artifact="int4", broken=("SQNR 4.0 dB, at least 20 dB",), sqnr_db=4.0)
ABSENT = replace(WITHIN, left_out="ort-cpu refuses it", max_difference=None)
LADDER = ParityLadder(
    "the model", "torch-cpu", "of dev", 1234, "accuracy", 0.91, (WITHIN, OUTSIDE, ABSENT)
)


def test_every_row_has_a_cell_for_every_column() -> None:
    for ladder in (LADDER, replace(LADDER, value=None)):
        assert {len(row) for row in rows(ladder)} == {len(columns(ladder))}
        assert len(rows(ladder)) == 4
    assert len(columns(replace(LADDER, value=None))) == len(columns(LADDER)) - 1


def test_figures_stand_beside_their_bounds() -> None:
    by_column = dict(zip(columns(LADDER), rows(LADDER)[1], strict=True))

    assert by_column["largest |Δ|"] == "2.0e-02 (≤ 5.0e-02)"  # of the largest output, 5
    assert by_column["mean |Δ|"] == "3.0e-03"
    assert by_column["SQNR dB"] == "exact (≥ 20)"
    assert [row[-1] for row in rows(LADDER)] == ["the reference", "within", "outside", "left out"]
    unbounded = replace(WITHIN, bounds=Bounds(None, None, None, None))
    assert rows(replace(LADDER, steps=(unbounded,)))[1][3:5] == ["2.0e-02", "3.0e-03"]


def test_steps_of_one_reason_are_told_together() -> None:
    other = replace(ABSENT, artifact="int4", runtime="openvino", left_out="openvino refuses it")
    third = replace(ABSENT, runtime="openvino", left_out="openvino refuses it")
    alone = replace(ABSENT, left_out="out of memory")

    told = absences(replace(LADDER, steps=(WITHIN, ABSENT, other, third, alone)))

    assert told == [
        "left out: int8|a in ort-cpu, openvino; int4 in openvino: refuses it",
        "left out: int8|a in ort-cpu: out of memory",
    ]


def test_a_failure_says_what_is_wrong_and_where_it_begins() -> None:
    assert failure(OUTSIDE) == (
        "int4 in ort-cpu: SQNR 4.0 dB, at least 20 dB; it has no layers that can be compared with "
        "the reference's one by one"
    )
    divergence = Divergence("layer.0.query", "output", 3.0, 20.0, 5)
    assert failure(replace(OUTSIDE, divergence=divergence)).endswith(divergence.sentence)


def test_what_was_left_out_is_in_neither_count() -> None:
    assert outcome(LADDER) == "1 of 2 steps are within their bounds; 1,234 texts, of dev"


def test_the_page_survives_bars_and_lists_failures_and_absences() -> None:
    page = markdown(LADDER)

    table = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table[1:]}) == 1
    assert "int8\\|a" in page
    assert f"- {failure(OUTSIDE)}\n- left out: " in page


def test_both_files_are_written_and_the_json_reads_back(tmp_path: Path) -> None:
    shown = write_parity(LADDER, tmp_path / "out")

    assert shown.read_text(encoding="utf-8") == markdown(LADDER)
    plain = json.loads((tmp_path / "out" / "parity.json").read_text(encoding="utf-8"))
    assert from_plain(ParityLadder, plain) == LADDER


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match="file"):
        write_parity(LADDER, tmp_path / "file")
