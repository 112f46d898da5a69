"""``modules.json`` is walked in order; what is not known is refused by name."""

from __future__ import annotations

import json

import pytest

from bertcompress.errors import LoadError
from bertcompress.tasks.embedding_settings import EmbeddingSettings, read_embedding
from bertcompress.tasks.vector_steps import Normalize

TRANSFORMER = ("sentence_transformers.models.Transformer", "")
POOLING = ("sentence_transformers.models.Pooling", "1_Pooling")


def files(*modules: tuple[str, str], configs: dict[str, object] | None = None) -> dict[str, bytes]:
    entries = [{"type": kind, "path": path} for kind, path in modules]
    given = {"1_Pooling": {"pooling_mode": "cls"}, **(configs or {})}
    return {
        "modules.json": json.dumps(entries).encode(),
        **{f"{path}/config.json": json.dumps(config).encode() for path, config in given.items()},
    }


def test_without_modules_it_is_the_mean() -> None:
    assert read_embedding({}) == EmbeddingSettings()


def test_modules_are_taken_in_order() -> None:
    normalize = ("sentence_transformers.base.modules.normalize.Normalize", "9_Any")

    settings = read_embedding(files(TRANSFORMER, POOLING, normalize))

    assert (settings.poolings, settings.steps) == (("cls",), (Normalize(),))


@pytest.mark.parametrize(
    ("modules", "sentence"),
    [
        ([TRANSFORMER, ("sentence_transformers.models.Asym", "1")], "models.Asym, and known are"),
        ([("sentence_transformers.base.modules.router.Router", "")], "modules.router.Router"),
        ([("custom_st.Transformer", ""), POOLING], "has the module custom_st.Transformer"),
        ([TRANSFORMER, ("sentence_transformers.models.WordWeights", "1")], "WordWeights"),
        ([TRANSFORMER], "lists Transformer; an embedding is made by"),
        ([], "lists no module"),
        ([POOLING, TRANSFORMER], "lists Pooling, Transformer"),
        ([TRANSFORMER, POOLING, POOLING], "lists Transformer, Pooling, Pooling"),
        (
            [TRANSFORMER, ("sentence_transformers.models.Pooling", "2_Gone")],
            "2_Gone/config.json is",
        ),
    ],
)
def test_other_modules_are_refused_by_name(modules: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(LoadError, match=f"modules.json .*{sentence}"):
        read_embedding(files(*modules))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"pooling_mode": "median"}, "asks for the pooling 'median'; known are cls, max"),
        ({"pooling_mode": ["cls", "top"]}, r"asks for the pooling \['cls', 'top'\]"),
        ({"pooling_mode": "cls", "temperature": 2}, "has temperature, which is no setting"),
        ({"pooling_mode": "cls", "module_input_name": "x"}, "module_input_name 'x'"),
    ],
)
def test_other_poolings_are_refused_by_name(config: object, sentence: str) -> None:
    with pytest.raises(LoadError, match=f"1_Pooling/config.json .*{sentence}"):
        read_embedding(files(TRANSFORMER, POOLING, configs={"1_Pooling": config}))
