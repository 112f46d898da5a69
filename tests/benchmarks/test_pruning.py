"""The comparison of pruning methods: its differences, its report, and that it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pruning
from bertcompress.errors import DataError
from pruning_report import Cell, difference


def cell(right: str, *, method: str = "ours", seed: int = 0) -> Cell:
    """Returns a cell whose examples are right (1) or wrong (0)."""
    value = right.count("1") / len(right)
    columns = (" ".join(right), " ".join("1" * len(right)))
    return Cell(method, 0.5, seed, value, 1.0, 0.5, 0.7, (2,), (32,), columns)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    words = ("good", "bad", "film", "the", "not", "berlin")
    for split, count in (("train", 40), ("test", 20)):
        generator = np.random.default_rng(count)
        rows = [
            f"{' '.join(generator.choice(words, 5))},{('negative', 'positive')[at % 2]}"
            for at in range(count)
        ]
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    return folder


def test_a_difference_is_that_of_the_means_over_seeds() -> None:
    ours = [cell("1111"), cell("1110", seed=1)]
    theirs = [cell("1100", method="Kwon"), cell("0110", method="Kwon", seed=1)]

    found = difference(ours, theirs)

    assert found.estimate == pytest.approx((1.0 + 0.75) / 2 - 0.5)
    assert found.low <= found.estimate <= found.high


def test_equal_answers_differ_by_nothing() -> None:
    found = difference([cell("1011")], [cell("1011", method="Kwon")])

    assert (found.low, found.estimate, found.high) == (0.0, 0.0, 0.0)


def test_the_seeds_of_one_example_are_no_independent_examples() -> None:
    one, other = cell("1" * 60 + "0" * 40), cell("1" * 50 + "0" * 50)

    single = difference([one], [other])
    tripled = difference([one] * 3, [other] * 3)

    assert tripled.low == pytest.approx(single.low)
    assert tripled.high == pytest.approx(single.high)


def test_a_metric_that_can_t_be_rebuilt_is_an_error() -> None:
    wrong = replace(cell("1010"), value=0.9)

    with pytest.raises(DataError, match="can't be rebuilt"):
        difference([wrong], [wrong])


@pytest.mark.slow
def test_a_stopped_run_goes_on(
    tiny_folder: Callable[..., Path],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, work = tmp_path / "out" / "pruning", tmp_path / "work"
    settings = [
        "--fractions",
        "0.5",
        "--seeds",
        "0",
        "1",
        "--samples",
        "32",
        "--threads",
        "1",
        "--methods",
    ]
    settings += ["Kwon", "magnitude, cut only"]
    where = [str(tiny_folder()), str(data), "--out", str(out), "--work", str(work)]

    pruning.main([*where, *settings])

    text, plain = (
        out.with_suffix(".md").read_text(),
        json.loads(out.with_suffix(".json").read_text()),
    )
    methods = [(one["method"], one["seed"]) for one in plain["cells"]]
    assert methods == [
        ("not pruned", 0),
        ("ours", 0),
        ("Kwon", 0),
        ("magnitude, cut only", 0),
        ("ours", 1),
        ("Kwon", 1),
    ]
    assert "## 50% of heads and of neurons removed" in text
    assert "| magnitude, cut only | 1 |" in text

    def measure(*_: object) -> None:
        pytest.fail("a finished cell was measured again")

    monkeypatch.setattr(pruning.Bench, "_measured", measure)
    pruning.main([*where, *settings])
    assert json.loads(out.with_suffix(".json").read_text())["cells"] == plain["cells"]


def test_comments_and_docstrings_do_not_make_cells_worthless(tmp_path: Path) -> None:
    for folder in pruning.CODE:
        (tmp_path / folder).mkdir(parents=True)
    file = tmp_path / pruning.CODE[0] / "one.py"
    digests = []
    for text in ('"""A."""\nx = 1\n', '"""B."""\nx = 1  # why\n', "x = 2\n"):
        file.write_text(text)
        digests.append(pruning.code_digest(tmp_path))

    assert digests[0] == digests[1] != digests[2]
