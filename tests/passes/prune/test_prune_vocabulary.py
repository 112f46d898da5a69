"""A smaller vocabulary: the same answers to its own texts, and any other text still encodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.bert.vocabulary import always_kept, smaller_tokenizer
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example, TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune_vocabulary import PruneVocabulary

Checkpoints = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]
TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")
TEXTS = (TextExample("0", "the film is good"), TextExample("1", "not bad"))


def answer(checkpoint: Checkpoint, text: str) -> torch.Tensor:
    encoded = checkpoint.tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        found: torch.Tensor = checkpoint.model(**encoded).logits
    return found


def test_the_texts_are_answered_as_before(tiny_checkpoint: Checkpoints) -> None:
    before = tiny_checkpoint()

    after = PruneVocabulary()(before, Context(TEXTS))

    for one in TEXTS:
        words = before.tokenizer.tokenize(one.text)
        assert after.tokenizer.tokenize(one.text) == words
        assert torch.allclose(answer(before, one.text), answer(after, one.text), atol=1e-6)
    both = [
        one.tokenizer("good", "bad", padding="max_length", max_length=9) for one in (before, after)
    ]
    words = [
        one.tokenizer.convert_ids_to_tokens(row["input_ids"])
        for one, row in zip((before, after), both, strict=True)
    ]
    assert words[0] == words[1]
    assert both[0]["token_type_ids"] == both[1]["token_type_ids"]


def test_what_is_not_used_leaves(tiny_checkpoint: Checkpoints) -> None:
    before = tiny_checkpoint()

    after = PruneVocabulary()(before, Context(TEXTS))

    assert "berlin" in before.tokenizer.get_vocab()
    assert "berlin" not in after.tokenizer.get_vocab()
    size = len(after.tokenizer)
    assert after.config.vocab_size == size < before.config.vocab_size
    assert after.model.get_input_embeddings().weight.shape[0] == size
    assert after.parameters < before.parameters
    assert after.history[-1].details["removed"] == (
        f"{before.config.vocab_size - size:,} of {before.config.vocab_size:,} tokens"
    )


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(text=st.text(max_size=30))
def test_any_text_that_could_be_encoded_still_can_be(
    text: str, tiny_checkpoint: Checkpoints
) -> None:
    before = tiny_checkpoint().tokenizer
    after = smaller_tokenizer(before, sorted(always_kept(before)))

    unknown = (before.unk_token, after.unk_token)
    counts = [
        one.tokenize(text).count(mark) for one, mark in zip((before, after), unknown, strict=True)
    ]
    assert counts[1] <= counts[0]


def test_rare_tokens_leave_and_are_split(tiny_checkpoint: Checkpoints) -> None:
    texts = (*TEXTS, TextExample("2", "film film film"))

    after = PruneVocabulary(minimum_count=2)(tiny_checkpoint(), Context(texts))

    assert "film" in after.tokenizer.get_vocab()
    assert "good" not in after.tokenizer.get_vocab()
    assert after.tokenizer.tokenize("good") == ["g", "##o", "##o", "##d"]
    notes = after.history[-1].details["notes"]
    assert isinstance(notes, list)
    assert "of the texts' tokens are split anew" in notes[1]
    assert not notes[1].startswith("0.00%")


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_it_saves_loads_and_exports(
    task: str, tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    made = PruneVocabulary()(tiny_checkpoint(task=task), Context(examples(task=task)))

    again = load(save(made, tmp_path / "small"))

    assert isinstance(again, Checkpoint)
    text = "the film is good"
    assert again.tokenizer(text)["input_ids"] == made.tokenizer(text)["input_ids"]
    assert again.tokenizer.pad_token_id == made.tokenizer.pad_token_id
    assert isinstance(ExportOnnx()(again), OnnxModel)


def test_the_input_is_left_alone(tiny_checkpoint: Checkpoints) -> None:
    checkpoint = tiny_checkpoint()
    size = len(checkpoint.tokenizer)

    PruneVocabulary()(checkpoint, Context(TEXTS))

    assert len(checkpoint.tokenizer) == size
    assert checkpoint.config.vocab_size == checkpoint.model.get_input_embeddings().weight.shape[0]


def test_what_can_not_be_meant_is_refused(tiny_checkpoint: Checkpoints) -> None:
    with pytest.raises(UsageError, match="none were given; add --data"):
        PruneVocabulary()(tiny_checkpoint())
    with pytest.raises(UsageError, match="minimum_count must be 1 or more, got 0"):
        PruneVocabulary(minimum_count=0)
    with pytest.raises(PassError, match="a vocabulary needs"):
        smaller_tokenizer(tiny_checkpoint().tokenizer, [0, 1, 2])
