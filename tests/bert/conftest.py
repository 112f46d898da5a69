"""Inputs, what a model answers to them as one tensor, and tiny models of all encoder families."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.families import FAMILIES, Family
from bertcompress.bert.loading.load import load
from bertcompress.quiet import quiet_transformers

TASKS = (
    "text-classification",
    "token-classification",
    "question-answering",
    "feature-extraction",
)


_ENDINGS = {
    "text-classification": "ForSequenceClassification",
    "token-classification": "ForTokenClassification",
    "question-answering": "ForQuestionAnswering",
    "feature-extraction": "Model",
}
_LABELS = {
    "text-classification": ("negative", "positive"),
    "token-classification": ("O", "B-PER", "I-PER"),
}
_WORDS = ("good", "bad", "film", "the", "a", "is", "not", "berlin", "anna", "lives", "in", "who")
_WIDTHS = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
_DISTILBERT_WIDTHS = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    """Three sentences of 9, 6 and 4 tokens, padded."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 100, (3, 9), generator=generator)
    mask = torch.ones_like(ids)
    types = torch.zeros_like(ids)
    types[0, 5:] = 1
    for row, length in enumerate((9, 6, 4)):
        mask[row, length:] = 0
        ids[row, length:] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


@pytest.fixture
def answer() -> Callable[[PreTrainedModel, Mapping[str, torch.Tensor]], torch.Tensor]:
    """Gives a function that returns all of a model's logits (or states) as one tensor."""

    def run(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            outputs: Any = model(**inputs)
        if "start_logits" in outputs:
            return torch.stack([outputs.start_logits, outputs.end_logits])
        found: torch.Tensor = outputs.logits if "logits" in outputs else outputs.last_hidden_state
        return found

    return run


@pytest.fixture(params=FAMILIES, ids=lambda family: family.model_type)
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


@pytest.fixture(scope="session")
def tiny_family_folder(
    tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Family, str], Path]:
    """Gives ``tiny_family_folder(family, task)``: made once a session, to read only."""
    made: dict[tuple[str, str], Path] = {}

    def make(family: Family, task: str) -> Path:
        key = (family.model_type, task)
        if key not in made:
            made[key] = tmp_path_factory.mktemp(family.model_type) / task
            _write_family(family, made[key], task, _tokenizer_for(family, tokenizer))
        return made[key]

    return make


@pytest.fixture(scope="session")
def tiny_family(
    tiny_family_folder: Callable[[Family, str], Path],
) -> Callable[..., Checkpoint]:
    """Gives ``tiny_family(family, task=…)``: that folder as an artifact, loaded anew each time."""

    def make(family: Family, task: str = "text-classification") -> Checkpoint:
        artifact = load(tiny_family_folder(family, task))
        assert isinstance(artifact, Checkpoint)
        return artifact

    return make


def _write_family(
    family: Family, folder: Path, task: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Writes a tiny model with seeded weights: two layers, four heads of 8, 64 neurons."""
    fields: dict[str, Any] = {
        **(_DISTILBERT_WIDTHS if family.model_type == "distilbert" else _WIDTHS),
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 130 if family.positions_after_padding else 128,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "initializer_range": 0.2,
    }
    if family.positions_after_padding:
        fields["type_vocab_size"] = 1
    if family.model_type == "electra":
        fields["embedding_size"] = 16
    config = getattr(transformers, f"{family.prefix}Config")(**fields)
    if task in _LABELS:
        config.id2label = dict(enumerate(_LABELS[task]))
        config.label2id = {name: at for at, name in enumerate(_LABELS[task])}
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(7)
        model = getattr(transformers, f"{family.prefix}{_ENDINGS[task]}")(config)
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.data.add_(torch.randn(parameter.shape), alpha=0.1)
        model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    named = {**json.loads(settings.read_text()), "tokenizer_class": f"{family.prefix}Tokenizer"}
    settings.write_text(json.dumps(named))


def _tokenizer_for(family: Family, wordpiece: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Returns a tokenizer of the kind that the family has."""
    if family.model_type == "roberta":
        return _byte_level_bpe()
    if family.model_type == "xlm-roberta":
        return _unigram(("<s>", "<pad>", "</s>", "<unk>"))
    if family.model_type == "camembert":
        start = ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>")
        return _unigram(start)
    return wordpiece


def _byte_level_bpe() -> PreTrainedTokenizerFast:
    """Makes RoBERTa's kind: all bytes, and merges that build some of the words."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pieces = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges = []
    for word in _WORDS:
        grown = "Ġ"
        for letter in word:
            if (grown, letter) not in merges:
                merges.append((grown, letter))
            grown += letter
            pieces.append(grown)
    vocabulary = {piece: at for at, piece in enumerate(dict.fromkeys(pieces))}
    core = Tokenizer(models.BPE(vocabulary, merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    return _fast(core)


def _unigram(start: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """Makes the kind of XLM-RoBERTa and CamemBERT: pieces with log probabilities, special first."""
    pieces = [(one, -100.0 if one == "<unk>NOTUSED" else 0.0) for one in start]
    pieces += [(f"▁{word}", -3.0 - at / 10) for at, word in enumerate(_WORDS)]
    pieces += [("▁", -4.0), ("ing", -6.0), ("柏林", -7.0), ("▁我", -7.5)]
    pieces += [(letter, -8.0 - at / 100) for at, letter in enumerate(string.ascii_lowercase)]
    pieces += [(letter, -9.0) for letter in "柏林我是.,?!"]
    pieces += [("<mask>", 0.0)]
    core = Tokenizer(models.Unigram(pieces, unk_id=3))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(one, start.index(one)) for one in ("<s>", "</s>")],
    )
    return _fast(core)


def _fast(core: Any) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # Transformers has no types
        tokenizer_object=core,
        model_max_length=128,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        cls_token="<s>",
        sep_token="</s>",
        mask_token="<mask>",
        model_input_names=["input_ids", "attention_mask"],
    )
