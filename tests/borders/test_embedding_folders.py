"""Sentence Transformers folders: the vectors of `SentenceTransformer.encode`, in every verb."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bertcompress.artifacts.artifact import save
from bertcompress.bert.loading.load import load
from bertcompress.inference.predictor import Predictor
from bertcompress.tasks.pooling import POOLINGS
from fixtures.embeddings import (
    HIDDEN,
    NORMALIZE,
    TEXTS,
    TOLERANCE,
    MakeFolder,
    Module,
    dense,
    encoded,
    layer_norm,
    old_pooling,
    pooling,
)

pytest.importorskip("sentence_transformers")

PROMPTS = {"prompts": {"query": "who is anna : "}, "default_prompt_name": "query"}

SHAPES: dict[str, tuple[Module, ...]] = {
    "mean": (pooling("mean"), NORMALIZE),
    "old mean": (old_pooling("mean_tokens"),),
    "none named": (old_pooling(),),
    "two": (pooling("max", "cls"), NORMALIZE),
    "two of old": (old_pooling("mean_tokens", "cls_token"), dense(2 * HIDDEN, 8)),
    "dense": (pooling("cls"), dense(HIDDEN, 16), NORMALIZE),
    "dense after": (pooling("mean"), NORMALIZE, dense(HIDDEN, 16, "ReLU", bias=False)),
    "residual": (pooling("mean"), dense(HIDDEN, HIDDEN, "GELU", use_residual=True)),
    "residual of its own": (pooling("mean"), dense(HIDDEN, 8, "SiLU", use_residual=True)),
    "norm": (pooling("lasttoken"), layer_norm(HIDDEN), ("Dropout", {"dropout": 0.5}, {})),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cut": {"max_seq_length": 16},
    "lower": {"max_seq_length": 64, "do_lower_case": True},
    "prompt": {"prompts": PROMPTS},
    "dimensions": {"prompts": {**PROMPTS, "truncate_dim": 7, "similarity_fn_name": "dot"}},
}


def vectors(folder: Path, **options: Any) -> NDArray[np.float32]:
    with Predictor.open(folder, **options) as opened:
        answers = [prediction.answer for prediction in opened.predict(TEXTS).predictions]
    return np.asarray(answers, dtype=np.float32)


def assert_same(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= TOLERANCE


def few(rows: list[Any], *, every: int) -> list[Any]:
    """Marks all but each so many-th as slow."""
    return [
        pytest.param(*row, marks=[] if at % every == 0 else [pytest.mark.slow])
        for at, row in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("shape", "setting"), few(list(itertools.product(SHAPES, SETTINGS)), every=6)
)
def test_vectors_are_those_of_the_library(
    embedding_folder: MakeFolder, shape: str, setting: str
) -> None:
    folder = embedding_folder(*SHAPES[shape], **SETTINGS[setting])

    assert_same(vectors(folder), encoded(folder))


@pytest.mark.parametrize(
    ("mode", "setting", "include"),
    few(list(itertools.product(POOLINGS, ("cut", "prompt"), (True, False))), every=5),
)
def test_all_poolings_with_and_without_the_prompt(
    embedding_folder: MakeFolder, mode: str, setting: str, include: bool
) -> None:
    folder = embedding_folder(pooling(mode, include_prompt=include), **SETTINGS[setting])

    assert_same(vectors(folder), encoded(folder))


@pytest.mark.parametrize("shape", few([(name,) for name in SHAPES], every=4))
def test_what_comes_out_is_the_same_model_there(
    embedding_folder: MakeFolder, tmp_path: Path, shape: str
) -> None:
    folder = embedding_folder(*SHAPES[shape], prompts=PROMPTS, max_seq_length=40)

    out = save(load(folder), tmp_path / "out")

    assert_same(encoded(out), encoded(folder))
    assert_same(vectors(out), encoded(folder))


@pytest.mark.parametrize("pickled", [False, True])
def test_old_and_new_folders_come_out_in_one_form(
    embedding_folder: MakeFolder, tmp_path: Path, pickled: bool
) -> None:
    new = "sentence_transformers.sentence_transformer.modules"
    modules = (pooling("mean"), dense(HIDDEN, 8), NORMALIZE)
    folder = embedding_folder(*modules, pickled=pickled)
    names = json.loads((folder / "modules.json").read_text())
    for entry in names[1:2]:
        entry["type"] = f"{new}.pooling.Pooling"
    names[0]["type"] = "sentence_transformers.base.modules.transformer.Transformer"
    (folder / "modules.json").write_text(json.dumps(names))
    wanted = encoded(folder)

    out = save(load(folder), tmp_path / "out")

    config = json.loads((out / "1_Pooling" / "config.json").read_text())
    assert (config["pooling_mode"], config["pooling_mode_mean_tokens"]) == ("mean", True)
    assert json.loads((out / "sentence_bert_config.json").read_text())["max_seq_length"] == 128
    assert {path.name for path in out.rglob("*.bin")} == set()
    assert_same(vectors(folder), wanted)
    assert_same(encoded(out), wanted)


def test_a_folder_of_2019_has_its_transformer_apart(
    embedding_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = embedding_folder(pooling("max"), max_seq_length=16)
    inside = folder / "0_Transformer"
    inside.mkdir()
    for path in [path for path in folder.iterdir() if path.is_file()]:
        if path.name != "modules.json":
            path.rename(inside / path.name)
    (inside / "sentence_bert_config.json").rename(inside / "sentence_roberta_config.json")
    names = json.loads((folder / "modules.json").read_text())
    names[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(names))
    wanted = encoded(folder)

    out = save(load(folder), tmp_path / "out")

    assert_same(vectors(folder), wanted)
    assert_same(encoded(out), wanted)


def test_the_encoder_may_have_been_saved_for_another_task(embedding_folder: MakeFolder) -> None:
    folder = embedding_folder(pooling("cls"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "architectures": ["BertForMaskedLM"]})
    )

    assert_same(vectors(folder), encoded(folder))


@pytest.mark.parametrize("limit", [None, 100, 1000])
def test_the_tokenizer_says_the_length_where_the_folder_does_not(
    embedding_folder: MakeFolder, limit: int | None
) -> None:
    folder = embedding_folder(pooling("mean"))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["model_max_length"] = limit
    (folder / "tokenizer_config.json").write_text(
        json.dumps({key: value for key, value in settings.items() if value is not None})
    )

    assert_same(vectors(folder), encoded(folder))


def test_a_plain_encoder_is_pooled_by_its_mean(tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder(task="text-classification")

    assert_same(vectors(folder, task="feature-extraction"), encoded(folder))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("pruned", ["prune", "--ffn", "0.5"]),
        pytest.param("narrow", ["prune", "--heads", "0.5"], marks=pytest.mark.slow),
    ],
)
def test_a_pruned_folder_is_the_same_model_there(
    embedding_folder: MakeFolder, ok: Callable[..., str], tmp_path: Path, name: str,
    arguments: list[str],
) -> None:  # fmt: skip
    folder = embedding_folder(pooling("cls"), dense(HIDDEN, 8), NORMALIZE, prompts=PROMPTS)

    ok(arguments[0], folder, *arguments[1:], "-o", tmp_path / name)

    assert_same(vectors(tmp_path / name), encoded(tmp_path / name))


def test_graphs_go_on_as_the_folder_says(
    embedding_folder: MakeFolder, ok: Callable[..., str], tmp_path: Path
) -> None:
    folder = embedding_folder(
        pooling("max", "cls", include_prompt=False),
        dense(2 * HIDDEN, 8),
        prompts=PROMPTS,
        max_seq_length=20,
    )

    ok("export", folder, "-o", tmp_path / "graph")
    ok("quantize", tmp_path / "graph", "--method", "dynamic", "-o", tmp_path / "int8")

    wanted = encoded(folder)
    assert_same(vectors(tmp_path / "graph"), wanted)
    near = vectors(tmp_path / "int8")
    assert near.shape == wanted.shape
    assert np.abs(near - wanted).max() < 0.2


def test_an_option_for_the_task_reaches_the_runtime(
    tiny_folder: Callable[..., Path],
    ok: Callable[..., str],
    fails: Callable[..., str],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "nameless"
    shutil.copytree(tiny_folder(task="text-classification"), folder)
    config = json.loads((folder / "config.json").read_text())
    del config["architectures"]
    (folder / "config.json").write_text(json.dumps(config))
    (tmp_path / "data.csv").write_text("text,label\ngood film,positive\nbad film,negative\n")
    data = ["--data", tmp_path / "data.csv"]

    vector = json.loads(ok("predict", folder, "good film", "--task", "feature-extraction"))
    label = json.loads(ok("predict", folder, "good film", "--task", "text-classification"))
    ok("evaluate", folder, "--task", "text-classification", *data)
    sentence = fails(
        2, "bench", folder, "--task", "text-classification", *data, "-o", tmp_path / "report"
    )
    offered = re.findall(r"type: bertcompress (.*) -o OUT", sentence)[0].split()
    ok(*offered, "-o", tmp_path / "out")

    assert vector["embedding"] == pytest.approx(encoded(folder)[0], abs=TOLERANCE)
    assert label == json.loads(ok("predict", tiny_folder(), "good film"))
    assert json.loads(ok("predict", tmp_path / "out", "good film"))["label"] == label["label"]


def test_longer_texts_are_counted_in_a_note(
    embedding_folder: MakeFolder, bc: Callable[..., Any]
) -> None:
    folder = embedding_folder(pooling("mean"), max_seq_length=16)

    said = bc("predict", folder, *TEXTS).stderr

    assert (
        "1 of 4 texts are longer than 16 tokens and were cut there, and the model has positions "
        "for 128: see --max-length" in " ".join(said.split())
    )


@pytest.mark.parametrize(
    ("shape", "prompt"),
    [("dense", None), *(pytest.param(name, PROMPTS, marks=pytest.mark.slow) for name in SHAPES)],
)
def test_a_pooled_graph_gives_the_vectors_themselves(
    embedding_folder: MakeFolder,
    ok: Callable[..., str],
    tmp_path: Path,
    shape: str,
    prompt: dict[str, object] | None,
) -> None:
    folder = embedding_folder(*SHAPES[shape], prompts=prompt, max_seq_length=40)

    ok("export", folder, "--pooled", "-o", tmp_path / "graph")

    graph = load(tmp_path / "graph")
    assert [value.name for value in graph.graph.graph.output] == ["sentence_embedding"]
    assert_same(vectors(tmp_path / "graph"), encoded(folder))


@pytest.mark.parametrize("mode", few([(mode,) for mode in POOLINGS], every=6))
def test_every_pooling_can_be_in_the_graph(
    embedding_folder: MakeFolder, ok: Callable[..., str], tmp_path: Path, mode: str
) -> None:
    folder = embedding_folder(pooling(mode))

    ok("export", folder, "--pooled", "-o", tmp_path / "graph")
    ok("quantize", tmp_path / "graph", "--method", "dynamic", "-o", tmp_path / "int8")

    assert_same(vectors(tmp_path / "graph"), encoded(folder))
    assert vectors(tmp_path / "int8").shape == (len(TEXTS), HIDDEN)


def test_pooling_in_the_graph_is_refused_where_it_can_not_be(
    embedding_folder: MakeFolder,
    tiny_folder: Callable[..., Path],
    fails: Callable[..., str],
    tmp_path: Path,
) -> None:
    folder = embedding_folder(pooling("mean", include_prompt=False), prompts=PROMPTS)

    left_out = fails(2, "export", folder, "--pooled", "-o", tmp_path / "a")
    other = fails(2, "export", tiny_folder(), "--pooled", "-o", tmp_path / "b")

    assert "can't leave a prompt's tokens out" in left_out
    assert other == (
        "--pooled is for feature-extraction, not for text-classification; leave it out"
    )
