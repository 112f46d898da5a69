"""One-output models of pairs: the values of `CrossEncoder.predict`, the logit beside them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertcompress.artifacts.artifact import save
from bertcompress.bert.loading.load import load
from bertcompress.errors import LoadError
from bertcompress.examples import TextExample
from bertcompress.inference.predictor import Predictor
from bertcompress.quiet import quiet_transformers
from fixtures.embeddings import TOLERANCE, write_json

library = pytest.importorskip("sentence_transformers")

PAIRS = (
    ("good film", "the bad film"),
    ("anna lives in berlin", "who lives in berlin"),
    (" ".join(["anna is not bad"] * 30), " ".join(["who is in berlin"] * 30)),
)
RELU = "torch.nn.modules.activation.ReLU"


@pytest.fixture
def cross_encoder(tiny_folder: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Gives ``cross_encoder(problem_type=…)``: a folder with one output and these entries."""
    import torch
    from safetensors.torch import load_file, save_file

    def make(**fields: Any) -> Path:
        folder = tmp_path / "pairs"
        shutil.copytree(tiny_folder(), folder)
        weights = load_file(folder / "model.safetensors")
        weights["classifier.weight"] = weights["classifier.weight"][:1].clone() * 3
        weights["classifier.bias"] = torch.tensor([0.25])
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        config.update(id2label={"0": "LABEL_0"}, label2id={"LABEL_0": 0}, **fields)
        write_json(folder / "config.json", config)
        return folder

    return make


def judged(folder: Path) -> tuple[Any, Any]:
    """Returns the library's values and logits, each pair alone in its batch."""
    with quiet_transformers():
        model = library.CrossEncoder(str(folder), device="cpu")
    values = model.predict(list(PAIRS), batch_size=1)
    import torch

    return values, model.predict(list(PAIRS), batch_size=1, activation_fn=torch.nn.Identity())


def answered(folder: Path, **options: Any) -> tuple[list[float], list[float]]:
    examples = [TextExample(str(at), *pair) for at, pair in enumerate(PAIRS)]
    with Predictor.open(folder, **options) as opened:
        answers = opened.predict(examples).predictions
        printed = [opened.task.to_json(*row) for row in zip(examples, answers, strict=True)]
    return [row["value"] for row in printed], [row["logit"] for row in printed]  # type: ignore[misc]


def assert_judged(folder: Path, original: Path) -> None:
    for found, wanted in zip(answered(folder), judged(original), strict=True):
        assert np.abs(np.asarray(found) - wanted).max() <= TOLERANCE


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sentence_transformers": {"activation_fn": RELU, "version": "4.1.0"}},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
        {"sbert_ce_default_activation_function": "torch.nn.Tanh", "problem_type": "regression"},
    ],
)
def test_values_are_those_of_the_library(
    cross_encoder: Callable[..., Path], tmp_path: Path, fields: dict[str, object]
) -> None:
    folder = cross_encoder(**fields)

    assert_judged(folder, folder)
    assert_judged(save(load(folder), tmp_path / "again"), folder)


def test_a_folder_as_the_library_saves_it(
    cross_encoder: Callable[..., Path], tmp_path: Path
) -> None:
    with quiet_transformers():
        model = library.CrossEncoder(str(cross_encoder()), device="cpu", max_length=20)
        model.save_pretrained(str(tmp_path / "saved"))
    settings = tmp_path / "saved" / "config_sentence_transformers.json"
    write_json(settings, {**json.loads(settings.read_text()), "activation_fn": RELU})

    assert_judged(tmp_path / "saved", tmp_path / "saved")
    assert_judged(save(load(tmp_path / "saved"), tmp_path / "again"), tmp_path / "saved")


def test_a_graph_keeps_the_activation(
    cross_encoder: Callable[..., Path], ok: Callable[..., str], tmp_path: Path
) -> None:
    folder = cross_encoder(sentence_transformers={"activation_fn": RELU})

    ok("export", folder, "-o", tmp_path / "graph")

    assert_judged(tmp_path / "graph", folder)


def test_a_regression_without_an_activation_is_its_logit(
    cross_encoder: Callable[..., Path],
) -> None:
    folder = cross_encoder(problem_type="regression")

    with Predictor.open(folder) as opened:
        [answer] = opened.predict([TextExample("1", *PAIRS[0])]).predictions

    assert answer.answer == pytest.approx(judged(folder)[1][0], abs=TOLERANCE)


def test_another_activation_is_refused_by_name(cross_encoder: Callable[..., Path]) -> None:
    folder = cross_encoder(sbert_ce_default_activation_function="my.code.Squash")

    with pytest.raises(LoadError, match=r"config.json names the activation 'my.code.Squash'"):
        Predictor.open(folder)
