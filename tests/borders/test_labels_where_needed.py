"""Labels are asked for only where something is scored by them or learned from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

ROWS = ("text", "a good film", "the film is bad", "not a good film", "berlin is good")
FORMS = {
    "bare.csv": "\n".join([*ROWS, ""]),
    "foreign.csv": "text,label\n" + "".join(f"{row},gut\n" for row in ROWS[1:]),
    "two.csv": "text,label,category\n" + "".join(f"{row},1,2\n" for row in ROWS[1:]),
    "nested.jsonl": "".join(
        json.dumps({"text": row, "label": {"is": [1]}}) + "\n" for row in ROWS[1:]
    ),
    "lines.txt": "\n".join([*ROWS[1:], ""]),
}

Run = Callable[..., CompletedProcess[str]]


@pytest.mark.parametrize("name", FORMS)
def test_predict_and_prune_need_no_labels_and_evaluate_does(
    bc: Run, here: Path, model: Path, name: str
) -> None:
    (here / name).write_text(FORMS[name])

    answered = bc("predict", model, "--input", name)
    pruned = bc("prune", model, "--heads", "0.5", "--score", "magnitude", "--data", name, "-o", "p")
    scored = bc("evaluate", model, "--data", name)

    assert answered.returncode == 0, answered.stderr
    assert len(answered.stdout.splitlines()) == 4
    assert pruned.returncode == 0, pruned.stderr
    assert scored.returncode == 1
    assert "label" in scored.stderr


def test_rows_without_a_label_are_skipped_and_counted_where_labels_are_needed(
    bc: Run, here: Path, model: Path
) -> None:
    (here / "some.csv").write_text("text,label\na good film,positive\nthe film,\nbad,negative\n")

    scored = bc("evaluate", model, "--data", "some.csv", "--json")

    assert json.loads(scored.stdout)["count"] == 2
    assert "1 row without a label were skipped, the first at some.csv:3" in scored.stderr
