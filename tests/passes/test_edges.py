"""The edges of what a graph is given: quantized against float, bounded; static the same to the bit.

Lengths 1 and 512, batches 1 and 64, all padding but one token, other scripts, unknown tokens, no
text at all. The models are random, and their ranges come from a handful of short English texts, so
every one of these inputs is far from what was calibrated on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.examples import Example, TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.passes.ranges import Ranges
from bertcompress.quiet import quiet_transformers
from bertcompress.runtimes.ort.runtime import run_graph
from bertcompress.tasks import make_task
from bertcompress.tasks.base import pad
from bertcompress_calibration import calibrate_ranges

Feed = dict[str, NDArray[np.int64]]
Made = Callable[[str], dict[str, OnnxModel]]

LONGEST = 512
FAMILIES = ("Bert", "Roberta")
BOUNDS = {"static": 0.2, "dynamic": 0.1, "int4": 0.7, "int8 weights": 0.08}
"""The largest difference of a logit, as a share of the largest float logit of all inputs."""

SCRIPTS = {
    "empty": "",
    "chinese": "这部电影非常好看",
    "arabic": "هذا الفيلم رائع جدا",
    "emoji": "😀😀👍🏽🎬",
    "unknown": "𓀀 𓁐 𓂀 𓃰 𓄿",
    "cyrillic": "Этот фильм очень хороший",
    "long": "the film is not bad " * 150,
}


@pytest.fixture(scope="module")
def made(tokenizer: PreTrainedTokenizerFast) -> Made:
    """Gives ``made("Bert")``: the float graph and its four quantized graphs, made once."""
    found: dict[str, dict[str, OnnxModel]] = {}

    def make(family: str) -> dict[str, OnnxModel]:
        if family not in found:
            model = _model(family, len(tokenizer))
            graph = ExportOnnx()(Checkpoint(model, tokenizer, "text-classification"))
            found[family] = {
                "float": graph,
                "static": QuantizeStatic(Ranges(samples=16))(
                    graph, Context(_examples(), calibrate=calibrate_ranges)
                ),
                "dynamic": QuantizeDynamic()(graph),
                "int4": QuantizeWeights(bits=4)(graph),
                "int8 weights": QuantizeWeights(bits=8)(graph),
            }
        return found[family]

    return make


def _examples() -> tuple[Example, ...]:
    texts = ("the film is good", "a bad film", "not good", "who lives in berlin", "anna is not bad")
    return tuple(TextExample(str(at), texts[at % 5] + " film" * (at % 4)) for at in range(16))


def _model(family: str, vocabulary: int) -> Any:
    config = getattr(transformers, f"{family}Config")(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=LONGEST + (family == "Roberta"),  # its positions start at 1
        type_vocab_size=1 if family == "Roberta" else 2,
        pad_token_id=0,
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(7)
        return getattr(transformers, f"{family}ForSequenceClassification")(config).eval()


def feeds_of(model: OnnxModel) -> dict[str, Feed]:
    """Returns every edge as a batch."""
    task = make_task("text-classification", model.config, folder=Path())
    examples = [TextExample(name, text) for name, text in SCRIPTS.items()]
    features = task.encode(model.tokenizer, examples, max_length=LONGEST)
    feeds = {name: pad([one], pad_token_id=0) for name, one in zip(SCRIPTS, features, strict=True)}
    feeds["all scripts"] = pad(features, pad_token_id=0)
    feeds["length 1"] = drawn(1, 1)
    feeds["length 512"] = drawn(1, LONGEST)
    feeds["batch 64"] = drawn(64, 9)
    feeds["one token"] = drawn(3, 40)
    feeds["one token"]["attention_mask"][:, 1:] = 0
    return feeds


def drawn(rows: int, length: int, *, seed: int = 0) -> Feed:
    ids = np.random.default_rng(seed).integers(5, 80, (rows, length))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": ids * 0}


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_edge_is_answered_nearly_as_in_float(family: str, name: str, made: Made) -> None:
    graphs, feeds = made(family), feeds_of(made(family)["float"])
    expected = run_graph(graphs["float"].graph, list(feeds.values()))
    got = run_graph(graphs[name].graph, list(feeds.values()))

    largest = max(float(np.abs(one["logits"]).max()) for one in expected)
    apart = {
        edge: float(np.abs(a["logits"] - b["logits"]).max()) / largest
        for edge, a, b in zip(feeds, expected, got, strict=True)
    }
    assert all(np.isfinite(one["logits"]).all() for one in got)
    assert max(apart.values()) < BOUNDS[name], apart
    assert max(apart.values()) > 0.0  # else nothing was quantized


def lone_and_in_company(model: OnnxModel, *, company: int, padding: int) -> float:
    """Returns how far a text's logits move when others share its batch and it is padded."""
    alone, batch = drawn(1, 11, seed=1), drawn(1 + company, 11 + padding, seed=2)
    batch["input_ids"][0] = 0
    batch["input_ids"][0, :11] = alone["input_ids"][0]
    batch["attention_mask"][0, 11:] = 0
    (first,), (second,) = run_graph(model.graph, [alone]), run_graph(model.graph, [batch])
    return float(np.abs(first["logits"][0] - second["logits"][0]).max())


@pytest.mark.parametrize(("company", "padding"), [(7, 0), (0, 5), (0, 501), (63, 21), (3, 1)])
@pytest.mark.parametrize("name", ["static", "int4", "int8 weights"])
@pytest.mark.parametrize("family", FAMILIES)
def test_batch_mates_and_padding_change_no_bit(
    family: str, name: str, company: int, padding: int, made: Made
) -> None:
    """But for INT4, whose attention in float may round the sum over a longer row otherwise."""
    apart = lone_and_in_company(made(family)[name], company=company, padding=padding)

    assert apart <= (1e-6 if name == "int4" else 0.0)


@pytest.mark.parametrize(("company", "padding"), [(7, 0), (0, 5), (63, 21)])
def test_dynamic_answers_do_depend_on_them_within_a_bound(
    company: int, padding: int, made: Made
) -> None:
    """A range over the whole batch is what dynamic means: QuantizeDynamic says so."""
    graphs = made("Bert")
    (float_logits,) = run_graph(graphs["float"].graph, [drawn(64, 11)])
    largest = float(np.abs(float_logits["logits"]).max())

    apart = lone_and_in_company(graphs["dynamic"], company=company, padding=padding)

    assert 0.0 < apart < BOUNDS["dynamic"] * largest
