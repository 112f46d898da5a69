"""Labels in every encoding are the ones that the library that writes them means."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from bertcompress.data import load_dataset
from bertcompress.errors import LabelMismatchError
from bertcompress.examples import TextExample, TokenExample
from bertcompress.tasks import Prediction, TextClassification

TEXTS = ("a sunny day", "a grey day", "a day")
TASK = "text-classification"


def labels_in(path: Path, **settings: Any) -> list[object]:
    data = load_dataset(path, task=TASK, **settings)
    return [example.label for example in data if isinstance(example, TextExample)]


def write(path: Path, labels: list[Any]) -> Path:
    """Writes texts with labels as the ending says, with pandas where a table is meant."""
    import pandas as pd

    if path.suffix == ".jsonl":
        rows = [{"text": text, "label": label} for text, label in zip(TEXTS, labels, strict=False)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path
    frame = pd.DataFrame({"text": TEXTS[: len(labels)], "label": labels})
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["pos", "neg", "pos"], ["pos", "neg", "pos"]),
        ([" pos", "neg ", "pos"], ["pos", "neg", "pos"]),
        ([1, 0, 10], ["1", "0", "10"]),
        (["1", "0", "10"], ["1", "0", "10"]),
        ([1.0, 0.0, 10.0], ["1", "0", "10"]),
        ([1.0, float("nan"), 0.0], ["1", None, "0"]),
        (["pos", None, "neg"], ["pos", None, "neg"]),
        ([0.5, 1.25, 3.0], [0.5, 1.25, 3.0]),
        ([["a", "b"], [], ["b"]], [("a", "b"), (), ("b",)]),
        ([[0, 1, 1], [0, 0, 0], [1, 0, 0]], [("1", "2"), (), ("0",)]),
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], ["1", "2", "0"]),
        ([[4], [1, 27], [1]], [("4",), ("1", "27"), ("1",)]),
    ],
)
def test_one_meaning_in_every_format(
    ending: str, written: list[Any], read: list[object], tmp_path: Path
) -> None:
    path = write(tmp_path / f"rows{ending}", written)

    assert labels_in(path, require_labels=False) == read


@pytest.mark.parametrize("nested", [False, True])
def test_parquet_has_the_names_of_the_datasets_library(nested: bool, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    names = ["positive", "negative"]
    feature = datasets.ClassLabel(names=names)
    given: list[Any] = [[0, 1], [1], []] if nested else [0, 1, -1]
    columns = {
        "text": datasets.Value("string"),
        "label": datasets.Sequence(feature) if nested else feature,
    }
    made = datasets.Dataset.from_dict(
        {"text": list(TEXTS), "label": given}, features=datasets.Features(columns)
    )
    made.to_parquet(str(tmp_path / "a.parquet"))

    found = labels_in(tmp_path / "a.parquet", require_labels=False)

    as_theirs: list[object] = [
        tuple(feature.int2str(row)) if nested else None if row < 0 else feature.int2str(row)
        for row in made["label"]
    ]
    assert found == as_theirs
    data = load_dataset(tmp_path / "a.parquet", task=TASK, require_labels=False)
    assert any("'label' (0=positive, 1=negative)" in note for note in data.notes)


def test_parquet_has_the_names_of_tags(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    tags = ["O", "B-PER", "I-PER", "B-LOC"]
    features = datasets.Features(
        {
            "tokens": datasets.Sequence(datasets.Value("string")),
            "ner_tags": datasets.Sequence(datasets.ClassLabel(names=tags)),
        }
    )
    rows = {"tokens": [["Mira", "visits", "Oster"]], "ner_tags": [[1, 0, 3]]}
    made = datasets.Dataset.from_dict(rows, features=features)
    made.to_parquet(str(tmp_path / "b.parquet"))

    [example] = load_dataset(tmp_path / "b.parquet", task="token-classification").examples

    assert isinstance(example, TokenExample)
    assert example.tags == ("B-PER", "O", "B-LOC")


def test_dataset_info_of_save_to_disk_names_classes(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    from bertcompress.data.class_names import names_in_features

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["b", "a"])}
    )
    made = datasets.Dataset.from_dict({"text": ["x"], "label": [1]}, features=features)
    made.save_to_disk(str(tmp_path / "saved"))
    info = json.loads((tmp_path / "saved" / "dataset_info.json").read_text())

    assert names_in_features(info["features"]) == {"label": ["b", "a"]}


def test_a_column_a_label(tmp_path: Path) -> None:
    path = tmp_path / "toxic.csv"
    path.write_text("id,comment_text,toxic,threat\n7,you fool,1,0\n8,thanks,0,0\n9,run,1,1\n")

    found = labels_in(path, label_kind="multi", columns=columns(text="comment_text"))

    assert found == [("toxic",), (), ("toxic", "threat")]
    asked = columns(text="comment_text", label="toxic,threat")
    assert labels_in(path, columns=asked) == found


def columns(**named: str) -> Any:
    from bertcompress.data import Columns

    return Columns(**named)


CLASSES = ("joy", "fear", "anger")
SETS = st.frozensets(st.sampled_from(CLASSES))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(SETS, SETS), min_size=1, max_size=12))
def test_several_labels_are_scored_as_scikit_learn_scores_them(
    rows: list[tuple[frozenset[str], frozenset[str]]],
) -> None:
    task = TextClassification(CLASSES, "multi_label_classification")
    examples = [TextExample(str(at), "a", label=tuple(gold)) for at, (gold, _) in enumerate(rows)]

    score = task.score([Prediction(tuple(answer)) for _, answer in rows], examples)

    hot = MultiLabelBinarizer(classes=CLASSES)
    gold, answers = (hot.fit_transform(side) for side in zip(*rows, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = f1_score(gold, answers, average="micro", zero_division=0)
    assert score.value == pytest.approx(theirs)


@pytest.mark.parametrize(
    ("labels", "sides"),
    [
        ([0, 1, 0], "the data's labels are 0, 1, the model's are negative, positive; "),
        (["2", "10", "1"], "the data's labels are 1, 2, 10, the model's are negative, positive; "),
        ([True, False, True], "the data's labels are false, true, the model's are negative,"),
        (["pos", "neg", "pos"], "the data's labels are neg, pos, the model's are negative,"),
    ],
)
def test_other_labels_are_refused_with_both_sides_and_nothing_to_paste(
    labels: list[Any], sides: str, tmp_path: Path
) -> None:
    task = TextClassification(("negative", "positive"))
    data = load_dataset(write(tmp_path / "rows.jsonl", labels), task=TASK)

    with pytest.raises(LabelMismatchError) as caught:
        task.check(data.examples)

    sentence = str(caught.value)
    assert sides in sentence
    assert "=negative" not in sentence
    assert "=positive" not in sentence


def test_the_label_map_that_is_offered_leads_to_the_right_value(
    bc: Callable[..., Any],
    fails: Callable[..., str],
    ok: Callable[..., str],
    tmp_path: Path,
    model: Path,
) -> None:
    path = write(tmp_path / "rows.jsonl", ["Positive", "NEGATIVE", "Positive"])
    sentence = fails(1, "evaluate", model, "--data", path)
    offered = sentence.split("type ")[1].split()
    assert offered == ["--label-map", "NEGATIVE=negative,Positive=positive"]

    renamed = json.loads(ok("evaluate", model, "--data", path, *offered, "--json"))

    right = write(tmp_path / "right.jsonl", ["positive", "negative", "positive"])
    plain = json.loads(ok("evaluate", model, "--data", right, "--json"))
    assert renamed["values"] == plain["values"]
    columns_named = tmp_path / "flags.csv"
    columns_named.write_text("text,negative,positive\na good film,0,1\nbad,1,0\n")
    sentence = fails(1, "evaluate", model, "--data", columns_named)
    offered = sentence.split("type ")[1].split()
    facts = json.loads(ok("evaluate", model, "--data", columns_named, *offered, "--json"))
    assert facts["count"] == 2
