"""A smaller vocabulary for tokenizers of every kind, and for texts that are not English."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.bert.families import Family, check_model_type, input_names
from bertcompress.bert.loading.load import load
from bertcompress.bert.vocabulary import always_kept, smaller_tokenizer
from bertcompress.errors import PassError
from bertcompress.examples import TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.prune.prune import Prune
from bertcompress.passes.prune.prune_vocabulary import PruneVocabulary

Tiny = Callable[..., Checkpoint]
TEXTS = tuple(
    TextExample(str(at), text)
    for at, text in enumerate(("the film is good", "我是 berlin", "bad!"))
)
UNIGRAM = ("xlm-roberta", "camembert")
MIXED = ("我是柏林人", "Berlin 是 good!", "GPT柏林2", "电影 is 好")


@pytest.fixture(params=UNIGRAM)
def unigram_family(request: pytest.FixtureRequest) -> Family:
    return check_model_type(request.param)


def answer(checkpoint: Checkpoint, text: str) -> torch.Tensor:
    encoded = checkpoint.tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        found: torch.Tensor = checkpoint.model(**encoded).logits
    return found


def test_a_unigram_vocabulary_answers_as_before(
    unigram_family: Family, tiny_family: Tiny, tmp_path: Path
) -> None:
    before = tiny_family(unigram_family)

    after = PruneVocabulary()(before, Context(TEXTS))

    assert after.config.vocab_size == len(after.tokenizer) < before.config.vocab_size
    assert "▁lives" not in after.tokenizer.get_vocab()
    again = load(save(after, tmp_path / "small"))
    assert isinstance(again, Checkpoint)
    for one in TEXTS:
        words = before.tokenizer.tokenize(one.text)
        assert again.tokenizer.tokenize(one.text) == words
        torch.testing.assert_close(
            answer(again, one.text), answer(before, one.text), rtol=0, atol=1e-6
        )
    pair = again.tokenizer("good", "bad").input_ids
    named = again.tokenizer.convert_ids_to_tokens(pair)
    assert named == ["<s>", "▁good", "</s>", "</s>", "▁bad", "</s>"]
    assert again.tokenizer.pad_token_id == before.tokenizer.pad_token_id  # positions start after it
    assert input_names(again.config) == ("input_ids", "attention_mask")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(text=st.text(alphabet="abcdefghi ĝ柏林我是.ß", max_size=20))
def test_any_text_that_unigram_could_encode_it_still_can(text: str, tiny_family: Tiny) -> None:
    before = tiny_family(check_model_type("xlm-roberta")).tokenizer
    after = smaller_tokenizer(before, sorted(always_kept(before)))

    counts = [one.tokenize(text).count("<unk>") for one in (before, after)]

    assert counts[1] <= counts[0]


def test_the_least_likely_piece_stays_for_unknown_characters(tiny_family: Tiny) -> None:
    tokenizer = tiny_family(check_model_type("camembert")).tokenizer

    kept = always_kept(tokenizer)

    assert tokenizer.convert_tokens_to_ids("<unk>NOTUSED") in kept
    assert {tokenizer.convert_tokens_to_ids(one) for one in ("<s>", "<pad>", "<mask>", "▁")} <= kept


def test_byte_level_bpe_is_refused(tiny_family: Tiny) -> None:
    with pytest.raises(
        PassError, match="of a byte-level BPE tokenizer can't be made smaller, only WordPiece's and"
    ):
        PruneVocabulary()(tiny_family(check_model_type("roberta")), Context(TEXTS))


@pytest.fixture
def chinese() -> Checkpoint:
    """A tiny BERT as the Chinese and the multilingual ones are: each Han character is a word."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [
        *special,
        *"我是柏林人电影好!2",
        *"gptisodbern",
        *(f"##{one}" for one in "gptisodbern2"),
    ]
    pieces += ["berlin", "good", "##pt", "gp", "##lin"]
    core = Tokenizer(
        models.WordPiece(
            {piece: at for at, piece in enumerate(dict.fromkeys(pieces))}, unk_token="[UNK]"
        )
    )
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # Transformers has no types
        tokenizer_object=core,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = BertForSequenceClassification(config)
    model.train(False)
    model.config.architectures = ["BertForSequenceClassification"]
    return Checkpoint(model, tokenizer, "text-classification")


def test_chinese_and_mixed_scripts_go_the_whole_way(chinese: Checkpoint, tmp_path: Path) -> None:
    texts = tuple(TextExample(str(at), text) for at, text in enumerate(MIXED * 4))
    assert chinese.tokenizer.tokenize(MIXED[0]) == ["我", "是", "柏", "林", "人"]

    smaller = PruneVocabulary()(chinese, Context(texts[:2]))

    assert smaller.config.vocab_size < chinese.config.vocab_size
    for text in MIXED[:2]:
        assert smaller.tokenizer.tokenize(text) == chinese.tokenizer.tokenize(text)
        torch.testing.assert_close(answer(smaller, text), answer(chinese, text), rtol=0, atol=1e-6)
    for text in MIXED:
        unknown = [one.tokenizer.tokenize(text).count("[UNK]") for one in (chinese, smaller)]
        assert unknown[0] == unknown[1]
    pruned = Prune(heads=0.5, ffn=0.5, multiple=8, batch_size=4)(smaller, Context(texts))
    again = load(save(pruned, tmp_path / "small"))
    assert isinstance(again, Checkpoint)
    assert torch.equal(answer(again, MIXED[0]), answer(pruned, MIXED[0]))
