"""A graph's folder inside Sentence Transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import bertcompress as bc
from bertcompress.errors import UsageError
from fixtures.embeddings import (
    HIDDEN,
    NORMALIZE,
    TEXTS,
    TOLERANCE,
    MakeFolder,
    dense,
    encoded,
    pooling,
    write_json,
)

library = pytest.importorskip("sentence_transformers")

PROMPT = "who is anna : "


@pytest.mark.parametrize("pooled", [False, True])
def test_encode_gives_the_originals_vectors(
    embedding_folder: MakeFolder, ok: Callable[..., str], tmp_path: Path, pooled: bool
) -> None:
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    folder = embedding_folder(pooling("max"), NORMALIZE, max_seq_length=24, do_lower_case=True)
    ok("export", folder, *(["--pooled"] if pooled else []), "-o", tmp_path / "graph")
    first = bc.OnnxTransformer(tmp_path / "graph")
    rest = [] if pooled else [Pooling(HIDDEN, "max"), Normalize()]

    model = library.SentenceTransformer(modules=[first, *rest], device="cpu")

    assert first.get_embedding_dimension() == HIDDEN
    assert model.max_seq_length == 24
    assert np.abs(model.encode(list(TEXTS)) - encoded(folder)).max() <= TOLERANCE


def test_a_prompt_is_left_out_where_the_pooling_says_so(
    embedding_folder: MakeFolder, ok: Callable[..., str], tmp_path: Path
) -> None:
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling

    prompts = {"prompts": {"query": PROMPT}, "default_prompt_name": "query"}
    folder = embedding_folder(pooling("mean", include_prompt=False), dense(HIDDEN, 8))
    write_json(folder / "config_sentence_transformers.json", prompts)
    ok("export", folder, "-o", tmp_path / "graph")
    modules = [
        bc.OnnxTransformer(tmp_path / "graph"),
        Pooling.load(str(tmp_path / "graph"), subfolder="1_Pooling"),
        Dense.load(str(tmp_path / "graph"), subfolder="2_Dense"),
    ]

    model = library.SentenceTransformer(modules=modules, device="cpu", **prompts)

    assert np.abs(model.encode(list(TEXTS)) - encoded(folder)).max() <= TOLERANCE


def test_other_tasks_and_saving_are_refused(tiny_folder: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="is for text-classification, and Sentence Transformers"):
        bc.OnnxTransformer(tiny_folder())
    with pytest.raises(UsageError, match="is saved already"):
        bc.OnnxTransformer(tiny_folder(task="feature-extraction")).save("out")
