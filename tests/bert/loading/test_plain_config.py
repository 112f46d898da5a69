"""A graph's configuration, read from JSON, says what Transformers' says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.artifacts.model_config import labels_of, task_of
from bertcompress.bert.families import Family, input_names, longest_text
from bertcompress.bert.loading.config_file import read_config
from bertcompress.bert.loading.plain_config import plain_config


def fields_of(folder: Path) -> dict[str, object]:
    fields: dict[str, object] = json.loads((folder / "config.json").read_text())
    return fields


def test_every_family_and_task_says_the_same(
    family: Family, task: str, tiny_family_folder: Callable[[Family, str], Path]
) -> None:
    folder = tiny_family_folder(family, task)
    read = read_config(folder, "model")

    plain = plain_config(fields_of(folder))

    assert plain is not None
    assert (plain.input_names, plain.longest) == (input_names(read), longest_text(read))
    assert (plain.num_labels, labels_of(plain)) == (read.num_labels, labels_of(read))
    assert (plain.problem_type, plain.model_type) == (read.problem_type, read.model_type)
    assert task_of(plain) == task_of(read)


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "modernbert"},
        {"model_type": None},
        {"pruned_heads": {"0": [1]}},
        {"id2label": ["negative", "positive"]},
        {"id2label": {"first": "negative"}},
        {"id2label": {"0": 1}},
        {"architectures": "BertModel"},
        {"problem_type": "ranking"},
        {"max_position_embeddings": "512"},
        {"type_vocab_size": None},
        {"num_labels": 3},
    ],
)
def test_what_is_unusual_is_left_to_transformers(
    change: dict[str, object], tiny_folder: Callable[..., Path]
) -> None:
    assert plain_config({**fields_of(tiny_folder()), **change}) is None


def test_a_family_with_shifted_positions_must_name_its_padding(
    tiny_family_folder: Callable[[Family, str], Path], family: Family
) -> None:
    fields = fields_of(tiny_family_folder(family, "text-classification"))
    del fields["pad_token_id"]

    assert (plain_config(fields) is None) == family.positions_after_padding
