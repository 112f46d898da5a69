"""A whole ladder on a tiny model, and what makes a step of it fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.codec import from_plain
from bertcompress.errors import LoadError, MissingDependencyError, RunError, UsageError
from bertcompress.graph.edit import copy_of, initializer_values, set_initializer
from bertcompress.parity import table as parity_text
from bertcompress.parity.ladder import climb, precision_of
from bertcompress.parity.step import ParityLadder
from bertcompress.parity.texts import drawn_texts
from bertcompress.passes.prune.prune_units import PruneHeads
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights

Graphs = Callable[..., OnnxModel]
Folders = Callable[..., Path]


@pytest.mark.parametrize(
    ("task", "runtimes"),
    [
        ("text-classification", None),
        ("question-answering", ["ort-cpu"]),
        ("feature-extraction", ["ort-cpu"]),
    ],
)
def test_a_whole_ladder(
    task: str, runtimes: list[str] | None, tiny_folder: Folders, tiny_graph: Graphs, tmp_path: Path
) -> None:
    graph = tiny_graph(task=task)
    made = {"fp32": graph, "int8": QuantizeDynamic()(graph), "int4": QuantizeWeights(bits=4)(graph)}
    folders = [(name, save(model, tmp_path / name)) for name, model in made.items()]
    reference = tiny_folder(task=task)

    ladder = climb(reference, folders, drawn_texts(load(reference)), runtimes=runtimes)

    assert (ladder.runtime, ladder.failed, ladder.value) == ("torch-cpu", (), None)
    deployed = {one.artifact: one for one in ladder.steps if one.runtime == "ort-cpu"}
    assert [(name, one.precision) for name, one in deployed.items()] == [
        (name, name) for name in made
    ]
    float_step = deployed["fp32"]
    assert float_step.max_difference is not None
    assert float_step.max_difference < 1e-5
    assert float_step.agreement == pytest.approx(1.0)
    ratios = [one.sqnr_db for one in deployed.values()]
    assert ratios == sorted(ratios, key=lambda ratio: -(ratio or 0))
    for step in ladder.steps:
        assert step.left_out or step.agreement is not None
        assert step.bounds.min_agreement is None  # drawn tokens
    text = parity_text.markdown(ladder)
    assert text.count("\n| ") == 2 + len(ladder.steps)
    assert from_plain(ParityLadder, json.loads(json.dumps(parity_text.plain(ladder)))) == ladder


def test_a_corrupted_weight_fails_with_its_module(
    tiny_folder: Folders, tiny_graph: Graphs, tmp_path: Path
) -> None:
    module = "bert.encoder.layer.1.intermediate.dense"
    graph = copy_of(tiny_graph().graph)
    weight = f"{module}.weight_t"
    set_initializer(graph, weight, np.roll(initializer_values(graph, weight), 1, axis=0))
    folder = save(replace(tiny_graph(), graph=graph), tmp_path / "off")
    right = save(tiny_graph(), tmp_path / "right")

    texts = drawn_texts(load(tiny_folder()))
    named = [("right", right), ("off", folder)]
    ladder = climb(tiny_folder(), named, texts, runtimes=["ort-cpu"])

    (step,) = ladder.failed
    assert step.artifact == "off"
    assert step.divergence is not None
    assert step.divergence.module == module
    assert len(step.broken) == 2  # the largest difference and the ratio
    assert parity_text.outcome(ladder).startswith("1 of 2 steps are within their bounds")
    assert parity_text.failure(step) in parity_text.markdown(ladder)


def test_answers_that_are_no_numbers_fail(
    tiny_folder: Folders, tiny_graph: Graphs, tmp_path: Path
) -> None:
    graph = copy_of(tiny_graph().graph)
    # Each weight is finite, what they give is not.
    names = [tensor.name for tensor in graph.graph.initializer]
    weight = next(name for name in names if name.endswith("LayerNorm.weight"))
    set_initializer(graph, weight, initializer_values(graph, weight) * np.float32(1e38))
    folder = save(replace(tiny_graph(), graph=graph), tmp_path / "off")

    texts = drawn_texts(load(tiny_folder()))
    (step,) = climb(tiny_folder(), [("off", folder)], texts, runtimes=["ort-cpu"]).steps

    assert "not finite" in step.broken[0]
    assert step.divergence is not None
    assert step.divergence.sqnr_db is None or step.divergence.sqnr_db < 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_named(
    value: float, tiny_folder: Folders, tiny_graph: Graphs, tmp_path: Path
) -> None:
    graph = copy_of(tiny_graph().graph)
    weight = "bert.pooler.dense.weight_t"
    set_initializer(graph, weight, initializer_values(graph, weight) * np.float32(value))
    folder = save(replace(tiny_graph(), graph=graph), tmp_path / "off")

    texts = drawn_texts(load(tiny_folder()))
    with pytest.raises(LoadError, match=r"NaN or infinity in the weight bert\.pooler"):
        climb(tiny_folder(), [("off", folder)], texts, runtimes=["ort-cpu"])


def test_a_graph_may_be_the_reference(tiny_graph: Graphs, tmp_path: Path) -> None:
    reference = save(tiny_graph(), tmp_path / "float")
    folder = save(QuantizeDynamic()(tiny_graph()), tmp_path / "int8")

    ladder = climb(reference, [("int8", folder)], drawn_texts(tiny_graph()), runtimes=["ort-cpu"])

    assert ladder.runtime == "ort-cpu"
    assert [step.artifact for step in ladder.steps] == ["int8"]


def test_what_can_t_run_is_named_or_an_error_if_it_was_asked_for(
    tiny_folder: Folders, tiny_graph: Graphs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(QuantizeDynamic()(tiny_graph()), tmp_path / "int8")
    monkeypatch.setitem(sys.modules, "openvino", None)
    texts = drawn_texts(load(tiny_folder()))

    ladder = climb(tiny_folder(), [("int8", folder)], texts)

    absent = {one.runtime: one.left_out for one in ladder.steps if one.left_out}
    assert "bertcompress[openvino]" in absent["openvino"]
    named = [one for one in ladder.steps if not one.left_out]
    assert [one.runtime for one in named] == ["ort-cpu"]
    with pytest.raises(MissingDependencyError):
        climb(tiny_folder(), [("int8", folder)], texts, runtimes=["openvino"])
    with pytest.raises(UsageError, match="there is no runtime 'ort'"):
        climb(tiny_folder(), [("int8", folder)], texts, runtimes=["ort"])
    with pytest.raises(UsageError, match="none of the runtimes torch-cpu runs"):
        climb(tiny_folder(), [("int8", folder)], texts, runtimes=["torch-cpu"])


def test_a_runtime_that_refuses_the_graph_is_left_out_with_its_reason(
    tiny_folder: Folders, tiny_graph: Graphs, tmp_path: Path
) -> None:
    pytest.importorskip("openvino")
    folder = save(QuantizeDynamic()(tiny_graph()), tmp_path / "int8")
    texts = drawn_texts(load(tiny_folder()))

    ladder = climb(tiny_folder(), [("int8", folder)], texts)

    left_out = {one.runtime: one.left_out for one in ladder.steps}
    assert "in float" in left_out["openvino"]
    refused = ["openvino", "openvino-bf16"]
    if "this CPU has no instructions for BF16" in left_out["openvino-bf16"]:
        refused.remove("openvino-bf16")
    absences = parity_text.absences(ladder)
    assert any(
        sentence.startswith(f"left out: int8 in {', '.join(refused)}: OpenVINO")
        for sentence in absences
    )
    reasons = {one.left_out.removeprefix(f"{one.runtime} ") for one in ladder.steps}
    assert len(absences) == len(reasons - {""})
    with pytest.raises(RunError, match="in float"):
        climb(tiny_folder(), [("int8", folder)], texts, runtimes=["openvino"])


def test_what_was_pruned_after_the_reference_is_refused(
    tiny_folder: Folders, tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    pruned = save(
        PruneHeads(fraction=0.25, score="magnitude")(tiny_checkpoint()), tmp_path / "pruned"
    )
    texts = drawn_texts(load(tiny_folder()))

    with pytest.raises(UsageError, match="small went through PruneHeads after"):
        climb(tiny_folder(), [("small", pruned)], texts)
    assert climb(pruned, [], texts, runtimes=["torch-cpu"]).steps == ()


def test_the_precision_is_the_coarser_of_graph_and_runtime(
    tiny_folder: Folders, tiny_graph: Graphs, tmp_path: Path
) -> None:
    folder = save(tiny_graph(), tmp_path / "float")

    assert precision_of(tiny_folder(), "torch-cpu") == "fp32"
    assert precision_of(folder, "openvino-bf16") == "bf16"
    int8 = save(QuantizeDynamic()(tiny_graph()), tmp_path / "int8")
    assert precision_of(int8, "openvino-bf16") == "int8"
