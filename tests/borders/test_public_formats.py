"""Public data sets in their published form: the right rows, or one sentence that leads on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.data import Columns, load_dataset
from bertcompress.errors import DataError
from bertcompress.examples import Example, QuestionExample, TokenExample
from fixtures.public_forms import FORMS, PublicForm


def written(folder: Path, form: PublicForm) -> Path:
    for name, content in form.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder / form.path


def labels_of(example: Example) -> tuple[object, ...]:
    if isinstance(example, TokenExample):
        return example.tags or ()
    if isinstance(example, QuestionExample):
        return ()
    return example.label if isinstance(example.label, tuple) else (example.label,)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_published_form_is_read_right_or_refused_in_one_sentence(
    tmp_path: Path, form: PublicForm
) -> None:
    source, columns = written(tmp_path, form), Columns(**form.options)

    if form.count is None:
        with pytest.raises(DataError, match=form.refused) as refusal:
            load_dataset(source, task=form.task, columns=columns, **form.settings)
        assert "\n" not in str(refusal.value)
        return
    found = load_dataset(source, task=form.task, columns=columns, **form.settings)
    assert len(found) == form.count
    if form.labels is not None:
        assert sorted({label for row in found for label in labels_of(row)}) == list(form.labels)


def test_what_datasets_saved_to_disk_is_read_with_its_class_names(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
    )
    rows = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, 1]}, features)
    rows.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": rows, "test": rows.select([0])}).save_to_disk(tmp_path / "both")

    alone = load_dataset(tmp_path / "one", task="text-classification")
    test = load_dataset(tmp_path / "both", task="text-classification")

    assert [labels_of(row) for row in alone] == [("pos",), ("neg",), ("pos",)]
    assert (test.split, len(test)) == ("test", 1)
