"""Hub data sets, without a hub."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import pytest

from bertcompress.data.hub import HubSplit, hub_source
from bertcompress.data.split_source import read_split
from bertcompress.data.table import ReadSettings
from bertcompress.errors import DataError, MissingDependencyError
from bertcompress.examples import TextExample, TokenExample

datasets = pytest.importorskip("datasets")
SETTINGS = ReadSettings("text-classification")


def sst2() -> Mapping[str, HubSplit]:
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
    )
    rows = {
        "train": {"sentence": ["a", "b"], "label": [0, 1]},
        "validation": {"sentence": ["c"], "label": [1]},
        "test": {"sentence": ["d"], "label": [-1]},
    }
    found: Mapping[str, HubSplit] = datasets.DatasetDict(
        {name: datasets.Dataset.from_dict(own, features=features) for name, own in rows.items()}
    )
    return found


def test_class_numbers_become_names() -> None:
    source = hub_source("hf:owner/name", SETTINGS, fetch=lambda name, config: sst2())

    _, reading = read_split(source, "validation")

    assert reading.examples == (TextExample("hf:owner/name/validation:1", "c", label="pos"),)


def test_hidden_labels_point_to_another_split() -> None:
    source = hub_source("hf:owner/name", SETTINGS, fetch=lambda name, config: sst2())

    with pytest.raises(DataError, match=r"test:1 has no label; .*choose a labelled split"):
        read_split(source, None)


def test_lists_of_class_numbers_become_tags() -> None:
    features = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "ner_tags": datasets.List(datasets.ClassLabel(names=["O", "B-PER"])),
        }
    )
    rows = datasets.Dataset.from_dict(
        {"tokens": [["Anna", "sat"]], "ner_tags": [[1, 0]]}, features=features
    )
    settings = ReadSettings("token-classification")

    source = hub_source("imdb", settings, fetch=lambda name, config: {"test": rows})

    _, reading = read_split(source, None)
    assert reading.examples == (TokenExample("imdb/test:1", ("Anna", "sat"), ("B-PER", "O")),)


@pytest.mark.parametrize(
    ("source", "tried"),
    [
        ("imdb", [("imdb", None)]),
        ("hf:glue/sst2", [("glue/sst2", None), ("glue", "sst2")]),
        ("hf:nyu-mll/glue/sst2", [("nyu-mll/glue", "sst2")]),
    ],
)
def test_an_unreachable_hub_is_one_sentence(
    source: str, tried: list[tuple[str, str | None]]
) -> None:
    calls: list[tuple[str, str | None]] = []

    def fetch(name: str, config: str | None) -> Mapping[str, HubSplit]:
        calls.append((name, config))
        raise ConnectionError(f"no way to {name}")

    with pytest.raises(
        DataError, match=f"{source} is neither a file .*: no way to .*; check the name and the conn"
    ) as caught:
        hub_source(source, SETTINGS, fetch=fetch)

    assert calls == tried
    assert isinstance(caught.value.__cause__, ConnectionError)


@pytest.mark.parametrize("source", ["hf:a/b/c/d", "hf:", "hf:a//b"])
def test_a_name_of_another_form_is_refused(source: str) -> None:
    with pytest.raises(DataError, match="is not a hub name; type hf:name, hf:owner/name or"):
        hub_source(source, SETTINGS, fetch=lambda name, config: {})


def test_a_split_without_rows_is_refused() -> None:
    rows = datasets.Dataset.from_dict({"text": [], "label": []})

    source = hub_source("imdb", SETTINGS, fetch=lambda name, config: {"test": rows})

    with pytest.raises(DataError, match="imdb/test has no rows"):
        read_split(source, None)


def test_without_datasets_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)

    with pytest.raises(MissingDependencyError, match=r"reading imdb from the hub needs datasets"):
        hub_source("imdb", SETTINGS)


def test_an_error_of_the_library_is_chained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, config: str | None) -> None:
        raise datasets.exceptions.DatasetNotFoundError(f"Dataset '{name}' doesn't exist")

    monkeypatch.setattr(datasets, "load_dataset", refuse)

    with pytest.raises(DataError, match="Dataset 'imbd' doesn't exist; check the name"):
        hub_source("imbd", SETTINGS)
