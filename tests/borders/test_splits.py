"""No step judges by a row that another step was trained on, whatever is typed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bertcompress.data import load_dataset
from bertcompress.data.partition import content_key
from bertcompress.examples import Example
from bertcompress.passes.context import Context
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.resources import RecipeContext, Splits

TEXT, EMBEDDING = "text-classification", "feature-extraction"
SEEDS = (0, 3, 11)

Ok = Callable[..., str]


def keys(examples: tuple[Example, ...]) -> set[bytes]:
    return {content_key(example) for example in examples}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Gives 240 rows, every sixth of which is there twice, and some without a label."""
    lines = [f"note {at if at % 6 else at // 2} of Mira,{'ab'[at % 2]}" for at in range(230)]
    lines += [f"bare {at}," for at in range(10)]
    path = tmp_path / "all.csv"
    path.write_text("\n".join(["text,label", *lines, ""]))
    return path


@pytest.mark.parametrize(("trained", "judged"), [*itertools.product(SEEDS, SEEDS)])
def test_parts_of_a_file_share_no_text_over_seeds_and_tasks(
    rows: Path, trained: int, judged: int
) -> None:
    for first, second in itertools.product((TEXT, EMBEDDING), repeat=2):
        train = load_dataset(rows, task=first, split="train", seed=trained)
        for split in ("validation", "test"):
            other = load_dataset(rows, task=second, split=split, seed=judged)
            assert not keys(train.examples) & keys(other.examples)


@pytest.mark.parametrize(
    "typed", [{}, {"split": "train"}, {"split": "all"}, {"limit": 20}, {"split": "all", "limit": 9}]
)
def test_what_is_judged_by_is_in_no_run_trained_on(rows: Path, typed: dict[str, object]) -> None:
    for trained, judged in itertools.product(SEEDS, SEEDS):
        first = Splits(DataSource(source=str(rows), **typed), task=TEXT, seed=trained)
        second = Splits(DataSource(source=str(rows), **typed), task=TEXT, seed=judged)
        learned = keys(first.train) | keys(first.examples)
        assert learned
        assert not learned & (keys(second.validation) | keys(second.held_out))
        assert not learned & keys(RecipeContext(second).held_out)


def test_rows_in_another_order_are_held_out_alike(rows: Path, tmp_path: Path) -> None:
    header, *lines = rows.read_text().splitlines()
    turned = tmp_path / "turned.csv"
    turned.write_text("\n".join([header, *reversed(lines), "one more,a", ""]))

    test = keys(load_dataset(rows, task=TEXT, split="test").examples)

    assert test == keys(load_dataset(turned, task=TEXT, split="test").examples) - keys(
        load_dataset(turned, task=TEXT, split="all").examples[-1:]
    )


def test_a_context_of_examples_holds_out_alike_whatever_is_asked_first(rows: Path) -> None:
    examples = load_dataset(rows, task=TEXT).examples

    assert not keys(Context(examples).fitted) & keys(Context(examples[::-1]).held_out)


def test_evaluate_says_which_rows_were_trained_on(
    bc: Callable[..., CompletedProcess[str]],
    ok: Ok,
    here: Path,
    model: Path,
    write_csv: Callable[..., Path],
) -> None:
    file = write_csv(here / "all.csv", 60)
    ok("finetune", model, "--data", file, "--epochs", 1, "--seed", 3, "-o", "tuned")

    whole, test = (
        json.loads(ok("evaluate", "tuned", "--data", file, *typed, "--json"))
        for typed in ((), ("--split", "test"))
    )
    said = bc("evaluate", "tuned", "--data", file).stderr

    train = load_dataset(file, task=TEXT, split="train")
    assert (whole["trained_on"], test["trained_on"]) == (len(train), 0)
    assert f"{len(train)} of the 60 examples are rows that tuned was trained on" in said
    record = json.loads((here / "tuned" / "trained_rows.json").read_text())["steps"]
    assert record == [
        {
            "step": "Finetune",
            "source": str(file),
            "split": "train",
            "count": len(train),
            "fingerprint": train.fingerprint,
        }
    ]
