"""New heads for what labels are; the head that a model has stays where it knows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertcompress.errors import DataError
from bertcompress.examples import Example, TextExample, TokenExample
from bertcompress.recipes.new_head import NewHead, head_for

Ok = Callable[..., str]
TEXTS = "text-classification"


def labelled(*labels: Any) -> list[Example]:
    return [TextExample(str(at), "a film", label=label) for at, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("examples", "head"),
    [
        (labelled("b", "a"), NewHead(("a", "b"), "single_label_classification", "class")),
        (
            labelled("10", "9", "2"),
            NewHead(("2", "9", "10"), "single_label_classification", "class"),
        ),
        (labelled(0.5, 1.0), NewHead(("LABEL_0",), "regression", "number")),
        (
            labelled(("b", "a"), ()),
            NewHead(("a", "b"), "multi_label_classification", "multi"),
        ),
    ],
)
def test_labels_ask_for_a_head(examples: list[Example], head: NewHead) -> None:
    assert head_for(TEXTS, examples) == head


def test_tags_and_spans_ask_for_theirs() -> None:
    tagged = [TokenExample("1", ("a", "b"), ("O", "B-PER"))]

    assert head_for("token-classification", tagged) == NewHead(("B-PER", "O"))
    assert head_for("question-answering", []) == NewHead()


@pytest.mark.parametrize(
    ("examples", "sentence"),
    [
        (labelled("a", "a"), "all 2 training examples have the label 'a', so there is nothing to"),
        (labelled((), ()), "no training example has a label; name the column with --label"),
    ],
)
def test_nothing_to_tell_apart_is_refused(examples: list[Example], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        head_for(TEXTS, examples)


def write_rows(path: Path, labels: list[object]) -> Path:
    words = ("good", "bad", "not", "the", "anna", "berlin")
    rows = [
        {"text": f"{words[at % 6]} film {words[at % 5]} {at}", "label": labels[at % len(labels)]}
        for at in range(24)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("labels", "more", "problem", "names"),
    [
        ([0.5, 3.0, 4.75], (), "regression", ["LABEL_0"]),
        ([1, 5, 3], ("--label-kind", "number"), "regression", ["LABEL_0"]),
        ([["b"], ["a", "b"], []], (), "multi_label_classification", ["a", "b"]),
        ([[0, 1, 1], [1, 0, 0]], (), "multi_label_classification", ["0", "1", "2"]),
        ([10, 2, 1], (), "single_label_classification", ["1", "2", "10"]),
    ],
)
@pytest.mark.parametrize(
    "start",
    ["feature-extraction", pytest.param("text-classification", marks=pytest.mark.slow)],
)
def test_transformers_agrees_on_the_head(
    start: str,
    labels: list[object],
    more: tuple[str, ...],
    problem: str,
    names: list[str],
    ok: Ok,
    here: Path,
    tiny_folder: Callable[..., Path],
) -> None:
    from transformers import AutoModelForSequenceClassification

    if start == "text-classification" and isinstance(labels[0], list):
        more = (*more, "--label-kind", "multi")  # its head has one class a text
    rows = write_rows(here / "train.jsonl", labels)
    ok(
        *("finetune", tiny_folder(task=start), "--task", TEXTS, "--data", rows, *more),
        *("--epochs", "1", "-o", "new"),
    )

    config = AutoModelForSequenceClassification.from_pretrained(here / "new").config
    metric = json.loads(ok("evaluate", "new", "--data", rows, "--json"))["metric"]

    assert config.problem_type == problem
    assert [config.id2label[at] for at in range(len(names))] == names
    primary = {"regression": "pearson", "multi_label_classification": "f1_micro"}
    assert metric == primary.get(problem, "accuracy")


def test_a_tagger_keeps_its_head_for_tags_in_another_scheme(
    bc: Callable[..., Any], here: Path, tiny_folder: Callable[..., Path]
) -> None:
    rows = "anna U-PER\nis O\n\nanna B-PER\nfilm L-PER\n\n" * 8
    (here / "train.conll").write_text(rows)
    model = tiny_folder(task="token-classification")

    outcome = bc("finetune", model, "--data", "train.conll", "--epochs", "1", "-o", "new")

    assert outcome.returncode == 0, outcome.stderr
    assert "new head" not in outcome.stderr
    labels = json.loads((here / "new/config.json").read_text())["id2label"]
    assert labels == {"0": "O", "1": "B-PER", "2": "I-PER"}
