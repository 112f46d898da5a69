"""Weights in blocks: with texts and without, within a size, on what pruning leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertcompress.artifacts.artifact import ONNX_NAME, Checkpoint, OnnxModel, save
from bertcompress.bert.surgery import cut
from bertcompress.data.partition import hold_out
from bertcompress.errors import SpeedGateError, UsageError
from bertcompress.examples import Example, TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.blocks import ROUNDINGS
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.runtimes.ort.runtime import run_graph

Graphs = Callable[..., OnnxModel]

WORDS = ("good", "bad", "film", "the", "a", "is", "not", "berlin", "anna", "lives", "in", "who")


def texts_of(count: int = 60) -> tuple[TextExample, ...]:
    generator = np.random.default_rng(3)
    lengths = generator.integers(2, 12, count)
    return tuple(
        TextExample(f"t:{at}", " ".join(generator.choice(WORDS, length)), label="negative")
        for at, length in enumerate(lengths)
    )


TEXTS = texts_of()
ON_TEXTS = Context(TEXTS)


def precisions(model: OnnxModel) -> dict[str, str]:
    found = model.history[-1].details["precision"]
    assert isinstance(found, list)
    return {one["module"]: one["precision"] for one in found}


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_every_rounding_gives_integer_kernels_and_near_answers(
    rounding: str, tiny_graph: Graphs
) -> None:
    graph = tiny_graph()
    result = QuantizeWeights(rounding=rounding)(graph, ON_TEXTS)

    details = result.history[-1].details
    kernels = details["kernels"]
    assert isinstance(kernels, dict)
    assert kernels["MatMulNBits"] == 13
    expected, got = answers(graph), answers(result)
    assert 0 < np.linalg.norm(expected - got) < 0.35 * np.linalg.norm(expected)
    assert str(details["rounding"]).startswith(rounding)


def test_gptq_is_nearer_to_the_answers_than_the_nearest_step(tiny_graph: Graphs) -> None:
    """Judged by texts that neither has seen, on a graph whose tables stay in float."""
    graph, errors = tiny_graph(), {}
    for rounding in ("rtn", "gptq"):
        made = QuantizeWeights(rounding=rounding, embeddings=False)(graph, ON_TEXTS)
        errors[rounding] = float(((answers(made) - answers(graph)) ** 2).sum())
    assert errors["gptq"] < 0.5 * errors["rtn"]


def answers(model: OnnxModel) -> np.ndarray:
    """Gives the logits of 40 texts drawn from the whole vocabulary."""
    generator = np.random.default_rng(5)
    ids = generator.integers(5, 100, (40, 9))
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": 0 * ids}
    (found,) = run_graph(model.graph, [feed])
    return np.asarray(found["logits"])


def test_the_step_tells_bits_sizes_and_what_they_are_for(tiny_graph: Graphs) -> None:
    graph = tiny_graph()
    result = QuantizeWeights()(graph, ON_TEXTS)
    details, found = result.history[-1].details, precisions(result)

    assert found["bert.encoder.layer.0.output.dense"].startswith("int4 block 32")
    assert found["classifier"] == "float32"
    assert found["model.bert.embeddings.word_embeddings"].startswith("int4 block 32")
    assert details["rounding"] == f"gptq, {len(hold_out(TEXTS)[0])} texts"
    assert details["size"] == (
        f"{graph.size_bytes / 1e6:.2f} MB before, {result.size_bytes / 1e6:.2f} MB after"
    )
    assert "do not make an encoder faster" in str(details["note"])
    assert isinstance(details["divergence_of_answers"], float)


def test_without_texts_nothing_is_run_and_eight_bits_stay_symmetric(tiny_graph: Graphs) -> None:
    result = QuantizeWeights(bits=8, block_size=64)(tiny_graph())
    details, found = result.history[-1].details, precisions(result)
    assert details["rounding"] == "mse, 0 texts"
    assert details["divergence_of_answers"] is None
    assert found["bert.encoder.layer.1.output.dense"].startswith("int8 block 64")
    assert found["bert.pooler.dense"].startswith("int8 block 32")  # it has no more than 32 inputs


@pytest.mark.parametrize("part", [0.0, 0.3, 0.8])
def test_the_file_is_as_large_as_was_asked(part: float, tiny_graph: Graphs, tmp_path: Path) -> None:
    graph = tiny_graph()
    least, most = (
        QuantizeWeights(bits=4, block_size=64)(graph).size_bytes,
        QuantizeWeights(bits=8, block_size=16)(graph).size_bytes,
    )
    target = round(least + 300 + part * (most - least))
    result = QuantizeWeights(target_size=target)(graph, ON_TEXTS)

    save(result, tmp_path / "out")
    written = (tmp_path / "out" / ONNX_NAME).stat().st_size
    assert 0.9 * target <= written <= target  # all alike can be smaller and answer better
    bits = {one.split()[0] for one in precisions(result).values()}
    assert ("int4" in bits) == (part < 0.8)
    assert "int8" in bits or part < 0.8


def test_more_bytes_cost_the_answers_less(tiny_graph: Graphs) -> None:
    graph = tiny_graph()
    least = QuantizeWeights(bits=4, block_size=64)(graph).size_bytes
    found = [
        QuantizeWeights(target_size=least + more)(graph, ON_TEXTS).history[-1].details
        for more in (500, 8_000, 60_000)
    ]
    losses = [float(str(one["divergence_of_answers"])) for one in found]
    assert losses[2] < losses[1] < losses[0]


def test_a_size_that_is_not_possible_names_the_smallest(tiny_graph: Graphs) -> None:
    graph = tiny_graph()
    with pytest.raises(SpeedGateError, match=r"smallest file .* has [\d,]+ bytes") as caught:
        QuantizeWeights(target_size=10_000)(graph, ON_TEXTS)
    smallest = int(str(caught.value).split(" has ")[1].split(" bytes")[0].replace(",", ""))
    assert caught.value.exit_code == 4

    result = QuantizeWeights(target_size=smallest)(graph, ON_TEXTS)
    assert smallest - 100 <= result.size_bytes <= smallest
    with pytest.raises(SpeedGateError):
        QuantizeWeights(target_size=smallest - 1)(graph, ON_TEXTS)


@pytest.mark.parametrize("settings", [{}, {"target_size": 60_000}, {"rounding": "awq"}])
def test_what_pruning_leaves_is_fitted_too(
    settings: dict[str, Any], tiny_checkpoint: Callable[..., Checkpoint]
) -> None:
    checkpoint = tiny_checkpoint()
    model = cut(checkpoint.model, heads=((0, 1, 3), ()), ffn=(tuple(range(37)), tuple(range(5))))
    graph = ExportOnnx()(replace(checkpoint, model=model))

    result = QuantizeWeights(**settings)(graph, ON_TEXTS)

    kernels = result.history[-1].details["kernels"]
    assert isinstance(kernels, dict)
    assert kernels["float weight products"] == 1
    assert result.size_bytes <= settings.get("target_size", graph.size_bytes)


@pytest.mark.parametrize(
    "task", ["token-classification", "question-answering", "feature-extraction"]
)
def test_every_task_has_a_divergence(
    task: str, tiny_graph: Graphs, examples: Callable[..., tuple[Example, ...]]
) -> None:
    graph = tiny_graph(task=task)
    least = QuantizeWeights(bits=4, block_size=64)(graph).size_bytes
    result = QuantizeWeights(target_size=least + 2_000)(
        graph, Context(examples(task=task), held_out=examples(task=task)[:1])
    )
    assert float(str(result.history[-1].details["divergence_of_answers"])) > 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rounding": "gtpq"}, r"rounding must be one of .*; did you mean 'gptq'\?"),
        ({"rounding": "gptq"}, "gptq rounds by what goes into each weight, and no texts"),
        ({"target_size": 10**6}, "found on texts, and none were given"),
        ({"target_size": 10**6, "block_size": 32}, "leave block_size out"),
        ({"target_size": 0}, "target_size must be 1 or more"),
        ({"samples": 1}, "samples must be 2 or more"),
        ({"bits": 7}, "bits must be 4 or 8, got 7"),
        ({"block_size": 33}, "block_size must be one of"),
    ],
)
def test_settings_that_can_not_be_meant(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        QuantizeWeights(**settings).check(Context())


def test_one_text_is_too_few(tiny_graph: Graphs) -> None:
    with pytest.raises(UsageError, match="got 1 texts"):
        QuantizeWeights()(tiny_graph(), Context(TEXTS[:1]))
