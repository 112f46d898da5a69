"""Entities in a text that is not split are those of Transformers' token-classification pipeline."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertcompress.inference.predictor import Predictor

TEXTS = (
    "anna lives in berlin.",
    "Anna, who lives in (Berlin), is good!",
    "  anna   lives\tin\nberlin  ",
    "anna京都berlin不good。anna",
    "他在北京见了anna。berlin!",
    "U.N. anna's film—naïve Ångström; 3.5% of a-b-c",
    "anna\u00a0lives\u3000in berlin",
    "[SEP] anna [MASK] berlin",
    "😀 anna 👩‍👩‍👧 berlin",
    "anna",
    ".",
    "the film is not good and " * 9 + "anna lives in berlin.",
)
IOB2 = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")

Spans = list[tuple[str, int, int, float]]


def folder_of(path: Path, tokenizer: Any, labels: tuple[str, ...], *, family: str = "bert") -> Path:
    """Writes a tagger with random weights, whose answers change from token to token."""
    import torch
    import transformers

    from bertcompress.quiet import quiet_transformers

    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 400,
        "initializer_range": 0.6,
        "id2label": dict(enumerate(labels)),
        "label2id": {label: at for at, label in enumerate(labels)},
    }
    torch.manual_seed(5)
    if family == "bert":
        model: Any = transformers.BertForTokenClassification(transformers.BertConfig(**shape))
    else:
        config = transformers.RobertaConfig(**shape, pad_token_id=1)
        model = transformers.RobertaForTokenClassification(config)
    with quiet_transformers():
        model.save_pretrained(path)
        tokenizer.save_pretrained(path)
    return path


def pipelines_spans(folder: Path, strategy: str, texts: tuple[str, ...]) -> list[Spans]:
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tagger = pipeline(
            "token-classification",
            model=AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32),
            tokenizer=AutoTokenizer.from_pretrained(folder),
            aggregation_strategy=strategy,
        )
        rows = [tagger(text) for text in texts]
    return [
        [(row["entity_group"], row["start"], row["end"], float(row["score"])) for row in found]
        for found in rows
    ]


def our_spans(folder: Path, texts: tuple[str, ...]) -> list[Spans]:
    with Predictor.open(folder, runtime="torch-cpu") as model:
        predictions = model.predict(texts).predictions
    found: list[Any] = [prediction.details["entities"] for prediction in predictions]
    return [[(e["type"], e["start"], e["end"], e["score"]) for e in entities] for entities in found]


def check_same(ours: list[Spans], theirs: list[Spans]) -> None:
    assert [[span[:3] for span in row] for row in ours] == [
        [span[:3] for span in row] for row in theirs
    ]
    for mine, pipelines in zip(ours, theirs, strict=True):
        assert [span[3] for span in mine] == pytest.approx(
            [span[3] for span in pipelines], abs=1e-4
        )


@pytest.mark.parametrize(
    "labels",
    [
        IOB2,
        pytest.param(("B-LOC", "I-LOC", "I-PER", "O"), marks=pytest.mark.slow),
        pytest.param(("O", "person", "place"), marks=pytest.mark.slow),
    ],
)
def test_wordpiece_has_the_pipelines_first(
    labels: tuple[str, ...], tokenizer: Any, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "model", tokenizer, labels)

    ours = our_spans(folder, TEXTS)

    assert sum(len(row) for row in ours) > len(TEXTS)
    check_same(ours, pipelines_spans(folder, "first", TEXTS))


def test_byte_pairs_have_the_pipelines_simple(tmp_path: Path) -> None:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizerFast

    core = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    core.train_from_iterator(TEXTS, vocab_size=330, special_tokens=special)
    (tmp_path / "parts").mkdir()
    core.save_model(str(tmp_path / "parts"))
    byte_pairs = RobertaTokenizerFast.from_pretrained(tmp_path / "parts", add_prefix_space=True)
    byte_pairs.model_max_length = 256
    folder = folder_of(tmp_path / "model", byte_pairs, IOB2, family="roberta")
    texts = tuple(text for text in TEXTS if "[" not in text)

    ours = our_spans(folder, texts)

    assert sum(len(row) for row in ours) > len(texts)
    check_same(ours, pipelines_spans(folder, "simple", texts))


@pytest.mark.slow
def test_the_graph_answers_alike(tokenizer: Any, tmp_path: Path, ok: Callable[..., str]) -> None:
    folder = folder_of(tmp_path / "model", tokenizer, IOB2)
    graph = ok("export", folder, "-o", tmp_path / "graph")

    with Predictor.open(graph) as model:
        answers = [row.answer for row in model.predict(TEXTS[:4]).predictions]

    with Predictor.open(folder, runtime="torch-cpu") as model:
        assert answers == [row.answer for row in model.predict(TEXTS[:4]).predictions]


def test_the_command_prints_characters(
    tokenizer: Any, tmp_path: Path, ok: Callable[..., str]
) -> None:
    folder = folder_of(tmp_path / "model", tokenizer, IOB2)

    printed = json.loads(ok("predict", folder, TEXTS[1]))

    assert printed["words"][:3] == ["Anna", ",", "who"]
    assert len(printed["words"]) == len(printed["tags"])
    for entity in printed["entities"]:
        assert TEXTS[1][entity["start"] : entity["end"]] == entity["text"]


def test_words_that_were_cut_away_are_counted(tokenizer: Any, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "model", tokenizer, IOB2)

    with Predictor.open(folder, runtime="torch-cpu", max_length=6) as model:
        [answer] = model.predict(["the film is not good."]).predictions

    assert answer.details["words"] == ["the", "film", "is", "not"]
    assert answer.details["unseen_words"] == 1


@pytest.mark.shared
def test_the_real_model_has_the_pipelines_first(shared: Path) -> None:
    texts = (
        "Angela Merkel visited Paris, Texas.",
        "EU rejects German call to boycott British lamb.",
        "他在北京见了Angela Merkel。Berlin!",
        "Café in Zürich—München's naïve Ångström",
    )
    folder = shared / "models" / "minilm-conll2003"

    ours = our_spans(folder, texts)

    assert ours[0][0][:3] == ("PER", 0, 13)
    check_same(ours, pipelines_spans(folder, "first", texts))
