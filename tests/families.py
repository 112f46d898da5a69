"""Tiny models and tokenizers of all encoder families, as folders of published models look."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertcompress.bert.families import FAMILIES, Family
from bertcompress.quiet import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TYPES = tuple(one.model_type for one in FAMILIES)
ENDINGS = {
    "text-classification": "ForSequenceClassification",
    "token-classification": "ForTokenClassification",
    "question-answering": "ForQuestionAnswering",
    "feature-extraction": "Model",
}
LABELS = {
    "text-classification": ("negative", "positive"),
    "token-classification": ("O", "B-PER", "I-PER"),
}
WORDS = ("good", "bad", "film", "the", "a", "is", "not", "berlin", "anna", "lives", "in", "who")
_WIDTHS = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
_DISTILBERT_WIDTHS = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}


def write_family(
    family: Family, folder: Path, task: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Writes a tiny model with seeded weights: two layers, four heads of 8, 64 neurons."""
    import torch
    import transformers

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
    if task in LABELS:
        config.id2label = dict(enumerate(LABELS[task]))
        config.label2id = {name: at for at, name in enumerate(LABELS[task])}
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(7)
        model = getattr(transformers, f"{family.prefix}{ENDINGS[task]}")(config)
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.data.add_(torch.randn(parameter.shape), alpha=0.1)
        model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    named = {**json.loads(settings.read_text()), "tokenizer_class": f"{family.prefix}Tokenizer"}
    settings.write_text(json.dumps(named))


def tokenizer_for(family: Family, wordpiece: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Returns a tokenizer of the kind that the family has."""
    if family.model_type == "roberta":
        return byte_level_bpe()
    return unigram() if family.positions_after_padding else wordpiece


def byte_level_bpe() -> PreTrainedTokenizerFast:
    """Makes RoBERTa's kind: all bytes, and merges that build some of the words."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pieces = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges = []
    for word in WORDS:
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


def unigram() -> PreTrainedTokenizerFast:
    """Makes the kind of XLM-RoBERTa and CamemBERT: pieces with log probabilities."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    pieces = [(one, 0.0) for one in ("<s>", "<pad>", "</s>", "<unk>")]
    pieces += [("<unk>NOTUSED", -100.0)]
    pieces += [(f"▁{word}", -3.0 - at / 10) for at, word in enumerate(WORDS)]
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
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return _fast(core)


def _fast(core: Any) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

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
