"""The models that are measured: sizes with random weights, dense and half of them pruned away.

Speed does not depend on the weights' values, so random ones do where no network is. Accuracy can't
be measured on them; parity with FP32 torch can.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.bert.structure import shape_of
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.export.halve_precision import HalvePrecision
from bertcompress.passes.prune.prune_units import PruneFfn, PruneHeads
from bertcompress.passes.ranges import Ranges
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from bertcompress_calibration import RANDOM, calibrate_ranges, random_texts
from gpu.steps import Facts

FFN_MULTIPLE = 64
"""Pruned widths stay multiples of this, which tensor cores want."""


@dataclass(frozen=True)
class Size:
    """Widths of a BERT."""

    layers: int
    hidden: int
    heads: int
    ffn: int
    vocabulary: int = 30_522
    positions: int = 512


SIZES = {"minilm": Size(6, 384, 12, 1536), "bert-base": Size(12, 768, 12, 3072)}
TINY = {"tiny": Size(2, 64, 4, 256, vocabulary=400, positions=64)}
GRAPHS = ("fp32", "fp16", "int8", "fp8")
"""Graphs of each model: the exported one, its FP16 form, and Q/DQ graphs for TensorRT."""


def make_checkpoint(size: Size, folder: Path, *, pruned: bool) -> Facts:
    """Writes a classifier with random weights; pruned, it has half the heads and neurons left."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.ffn,
        max_position_embeddings=size.positions,
        num_labels=2,
        initializer_range=0.05,
    )
    model = transformers.BertForSequenceClassification(config).eval()
    artifact: Any = Checkpoint(model, _tokenizer(size), "text-classification")
    if pruned:
        for step in (
            PruneHeads(0.5, score="magnitude", scope="layer"),
            PruneFfn(0.5, score="magnitude", scope="layer", multiple=FFN_MULTIPLE),
        ):
            artifact = step(artifact)
    save(artifact, folder, overwrite=True)
    shape = shape_of(artifact.model)
    return {
        "parameters": artifact.parameters,
        "layer_heads": list(shape.layer_heads),
        "layer_ffn": list(shape.layer_ffn),
    }


def make_graphs(checkpoint: Path, folder: Path, wanted: tuple[str, ...]) -> Facts:
    """Writes the wanted graphs of a checkpoint; each is held to the lint of its own pass.

    Args:
        checkpoint: Its folder.
        folder: Gets a folder for each graph, called as in `GRAPHS`.
        wanted: Some of `GRAPHS`; ``fp32`` is made in any case.
    """
    loaded = load(checkpoint)
    whole = loaded if isinstance(loaded, OnnxModel) else ExportOnnx()(loaded)
    ranges, context = Ranges(samples=32), _context(whole)
    makers: dict[str, Callable[[], OnnxModel]] = {
        "fp32": lambda: whole,
        "fp16": lambda: HalvePrecision("fp16")(whole),
        "int8": lambda: QuantizeTensorrt(ranges, "int8")(whole, context),
        "fp8": lambda: QuantizeTensorrt(ranges, "fp8")(whole, context),
    }
    facts: Facts = {}
    for name in ("fp32", *(one for one in wanted if one != "fp32")):
        made = makers[name]()
        save(made, folder / name, overwrite=True)
        step = made.history[-1]
        facts[name] = {"bytes": made.size_bytes, "details": _plain(step.details)}
    return facts


def _context(model: OnnxModel) -> Context:
    texts = random_texts(model, 32, seed=0)
    return Context(texts, split=RANDOM, calibrate=calibrate_ranges)


def _plain(details: Any) -> Facts:
    """Leaves out a step's tables, which are in the artifact's own manifest."""
    return {key: value for key, value in details.items() if not isinstance(value, list | dict)}


def _tokenizer(size: Size) -> Any:
    """Makes a word-piece tokenizer of the size's vocabulary: letters, then numbered words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [*string.ascii_lowercase, *string.digits]
    words = [*special, *letters, *(f"##{one}" for one in letters)]
    words += [f"word{number}" for number in range(size.vocabulary - len(words))]
    core = Tokenizer(
        models.WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]")
    )
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        model_max_length=size.positions,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
