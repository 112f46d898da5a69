"""prune_model and quantize_model: thin, and as careful as the passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.artifacts.manifest import read_manifest
from bertcompress.bert.loading.load import load
from bertcompress.bert.structure import shape_of
from bertcompress.errors import UsageError
from bertcompress.examples import Example
from bertcompress.one_liners import prune, prune_model, quantize, quantize_model
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.prune_recipe import PruneOptions
from bertcompress.recipes.quantize_recipe import QuantizeOptions
from bertcompress.recipes.recipe_file import read_recipe

Checkpoints = Callable[..., Checkpoint]
DOORS: Mapping[str, Callable[..., Any]] = {"prune": prune, "quantize": quantize}


def test_heads_and_neurons_leave(tiny_checkpoint: Checkpoints) -> None:
    heads = prune_model(tiny_checkpoint(), target="head", threshold=0.5)
    ffn = prune_model(tiny_checkpoint(), target="ffn", threshold=0.5)
    assert sum(shape_of(heads.model).layer_heads) == 4
    assert sum(shape_of(ffn.model).layer_ffn) == 64


def test_data_decides_where_it_is_given(
    tiny_checkpoint: Checkpoints, examples: Callable[..., tuple[Example, ...]]
) -> None:
    pruned = prune_model(tiny_checkpoint(), threshold=0.5, data=examples())
    assert pruned.history[-1].name == "Prune"
    assert pruned.history[-1].details["notes"] == [
        "measured on 19 samples, no labels; the rest re-fitted",
        "answers as the model before to 100.0% on 1 held-out sample",
    ]
    without = prune_model(tiny_checkpoint(), threshold=0.5)
    assert without.history[-1].details["notes"] == ["importance: magnitude of the weights, no data"]


@pytest.mark.parametrize(("bits", "name"), [(8, "QuantizeDynamic"), (4, "QuantizeWeights")])
def test_a_checkpoint_is_exported_first(bits: int, name: str, tiny_checkpoint: Checkpoints) -> None:
    result = quantize_model(tiny_checkpoint(), num_bits=bits)
    assert [step.name for step in result.history] == ["ExportOnnx", name]


def test_a_graph_is_taken_as_it_is(tiny_graph: Callable[..., OnnxModel]) -> None:
    assert len(quantize_model(tiny_graph()).history) == 2


def test_bad_settings(tiny_checkpoint: Checkpoints) -> None:
    with pytest.raises(UsageError, match="num_bits must be 8 or 4, got 7"):
        quantize_model(tiny_checkpoint(), num_bits=7)
    with pytest.raises(UsageError, match="did you mean 'head'"):
        prune_model(tiny_checkpoint(), target="heads", threshold=0.3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"did you mean 0\.30"):
        prune_model(tiny_checkpoint(), threshold=30)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "asked", "typed"),
    [
        ("prune", {"heads": 0.25}, ("--heads", "0.25")),
        (
            "prune",
            {"heads": 0.25, "more": PruneOptions(score="taylor")},
            ("--heads", "0.25", "--score", "taylor"),
        ),
        ("quantize", {"bits": 8, "method": "static"}, ("--bits", "8", "--method", "static")),
        ("quantize", {"bits": 4}, ("--bits", "4")),
    ],
)
def test_python_and_the_command_make_the_same_bytes(
    verb: str,
    asked: dict[str, object],
    typed: tuple[str, ...],
    ok: Callable[..., str],
    here: Path,
    model: Path,
    data: Path,
) -> None:
    ok(verb, model, "--data", data, *typed, "--seed", "3", "-o", "typed")

    artifact = DOORS[verb](model, data=data, seed=3, out="called", **asked)
    in_memory = DOORS[verb](load(model), data=DataSource(source=str(data)), seed=3, **asked)

    save(in_memory, here / "kept")
    for folder in ("called", "kept"):
        assert hashes(here / folder) == hashes(here / "typed")
    assert (
        read_recipe(here / "called").variants["called"]
        == (read_recipe(here / "typed").variants["typed"])
    )
    assert [step.settings for step in artifact.history] == [
        step.settings for step in load(here / "typed").history
    ]


def hashes(folder: Path) -> dict[str, str]:
    manifest = read_manifest(folder)
    assert manifest is not None
    kept = (".safetensors", ".onnx", "config.json")
    return {name: digest for name, digest in manifest.files.items() if name.endswith(kept)}


def test_what_the_command_refuses_is_refused(model: Path, data: Path) -> None:
    with pytest.raises(UsageError, match="prune must know what to remove"):
        prune(model, data=data)
    with pytest.raises(UsageError, match="or take --method dynamic, which needs none"):
        quantize(model)
    with pytest.raises(UsageError, match="block_size must be one of"):
        quantize(model, bits=4, more=QuantizeOptions(block_size=33))
