"""The pass that prunes in one shot: what stays, that it is re-fitted, and what it tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.bert.pruning.cost_table import CostTable
from bertcompress.bert.structure import layers_of, shape_of
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example, TextExample
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune import Prune
from bertcompress.passes.prune.removed import explanation_of
from bertcompress.passes.samples import batches_for

Checkpoints = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]
TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")
SMALL = {"batch_size": 4, "multiple": 8}


def without_labels(examples: tuple[Example, ...]) -> tuple[Example, ...]:
    return tuple(TextExample(one.id, one.text) for one in examples if isinstance(one, TextExample))


def last_states(checkpoint: Checkpoint, examples: tuple[Example, ...]) -> torch.Tensor:
    found = []
    for batch in batches_for(
        checkpoint, examples, samples=40, batch_size=4, max_length=None, seed=0
    ):
        with torch.no_grad():
            answer = checkpoint.model(**batch.inputs, output_hidden_states=True)
        found.append(answer.hidden_states[-1][batch.inputs["attention_mask"].bool()])
    return torch.cat(found)


@pytest.mark.parametrize("task", TASKS)
def test_units_leave_in_every_task_and_the_folder_loads_again(
    task: str, tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    checkpoint = tiny_checkpoint(task=task)

    result = Prune(examples(task=task), heads=0.4, ffn=0.5, **SMALL)(checkpoint)

    shape = shape_of(result.model)
    assert sum(shape.layer_heads) == 5  # 8 - round(3.2)
    assert sum(shape.layer_ffn) == 64
    assert all(width % 8 == 0 for width in shape.layer_ffn)
    again = load(save(result, tmp_path / "small"))
    assert isinstance(again, Checkpoint)
    before, after = result.model.state_dict(), again.model.state_dict()
    assert all(before[name].equal(after[name]) for name in before)


def test_labels_are_not_looked_at(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    settings = {"heads": 0.4, "ffn": 0.5, **SMALL}
    labelled = tuple(
        TextExample(one.id, one.text, label="positive")
        for one in without_labels(examples())
        if isinstance(one, TextExample)
    )

    first = Prune(without_labels(examples()), **settings)(tiny_checkpoint())
    second = Prune(labelled, **settings)(tiny_checkpoint())

    a, b = first.model.state_dict(), second.model.state_dict()
    assert all(a[name].equal(b[name]) for name in a)


def test_what_is_left_is_re_fitted(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    checkpoint, texts = tiny_checkpoint(), examples(count=40)
    settings = {"heads": 0.5, "ffn": 0.5, **SMALL}

    cut = Prune(texts, refit=False, **settings)(checkpoint)
    fitted = Prune(texts, **settings)(checkpoint)

    assert shape_of(cut.model) == shape_of(fitted.model)
    goal = last_states(checkpoint, texts)
    errors = [float((last_states(one, texts) - goal).square().mean()) for one in (cut, fitted)]
    assert errors[1] < errors[0]


def test_the_input_is_left_alone_and_the_result_repeats(
    tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    checkpoint, untouched = tiny_checkpoint(), tiny_checkpoint()
    one = Prune(examples(), heads=0.4, ffn=0.5, **SMALL)

    first, second = one(checkpoint), one(checkpoint)

    a, b = first.model.state_dict(), second.model.state_dict()
    assert all(a[name].equal(b[name]) for name in a)
    kept, before = checkpoint.model.state_dict(), untouched.model.state_dict()
    assert all(kept[name].equal(before[name]) for name in before)


def test_the_step_tells_each_layer(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    result = Prune(examples(), heads=0.4, ffn=0.5, **SMALL)(tiny_checkpoint())

    step = result.history[-1]
    rows = step.details["layers"]
    assert isinstance(rows, list)
    assert [row["layer"] for row in rows] == [0, 1]
    assert sum(row["heads_after"] for row in rows) == 5
    assert {"attention_error_removed", "ffn_error_removed"} <= set(rows[0])
    assert step.details["removed"] == "3 of 8 heads, 64 of 128 neurons"
    assert step.settings["examples"] != ()


def test_only_heads_or_only_neurons(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    heads = shape_of(Prune(examples(), heads=0.5, **SMALL)(tiny_checkpoint()).model)
    ffn = shape_of(Prune(examples(), ffn=0.25, **SMALL)(tiny_checkpoint()).model)

    assert (sum(heads.layer_heads), heads.layer_ffn) == (4, (64, 64))
    assert (ffn.layer_heads, sum(ffn.layer_ffn)) == ((4, 4), 96)


def test_a_model_pruned_before_is_pruned_on(
    tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    once = Prune(examples(), heads=0.5, ffn=0.5, **SMALL)(tiny_checkpoint())

    twice = Prune(examples(), heads=0.5, ffn=0.5, **SMALL)(once)

    shape = shape_of(twice.model)
    assert sum(shape.layer_heads) == 2
    assert sum(shape.layer_ffn) == 32


def test_it_exports_with_unequal_layers(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    result = Prune(examples(), heads=0.6, ffn=0.6, **SMALL)(tiny_checkpoint())

    assert isinstance(ExportOnnx()(result), OnnxModel)  # which checks parity by itself


def test_what_can_not_be_meant_is_refused(
    tiny_graph: Callable[..., OnnxModel], examples: Examples
) -> None:
    with pytest.raises(UsageError, match=r"heads must be in \[0, 1\), got 30; did you mean 0.30"):
        Prune(examples(), heads=30)
    with pytest.raises(UsageError, match="must know what to remove"):
        Prune(examples())
    with pytest.raises(UsageError, match="none was given; add --data"):
        Prune((), heads=0.3)
    with pytest.raises(PassError, match="prune and fine-tune before export"):
        Prune(examples(), heads=0.3)(tiny_graph())


class Additive:
    """A machine on which time is exactly a sum, and `slower` than the table says once pruned."""

    def __init__(self, *, rest: float = 1.0, slower: float = 1.0) -> None:
        self._table = CostTable(
            rest, ((0, 0.0), (4, 2.0)), ((0, 0.0), (64, 4.0)), deployment="an additive machine"
        )
        self.slower = slower
        self.compared = 0

    def table(self, checkpoint: Checkpoint, *, progress: object) -> CostTable:
        return self._table

    def seconds(self, models: Mapping[str, Checkpoint], *, progress: object) -> dict[str, float]:
        self.compared += 1
        shapes = {name: shape_of(one.model) for name, one in models.items()}
        times = {
            name: self._table.predict(shape.layer_heads, shape.layer_ffn)
            for name, shape in shapes.items()
        }
        return {**times, "pruned": times["pruned"] * self.slower}


@pytest.mark.parametrize("target", [1.3, 2.0, 4.0])
def test_a_target_is_met_and_told(
    target: float, tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    machine = Additive()

    result = Prune(examples(), target_speedup=target, latency=machine, **SMALL)(tiny_checkpoint())

    speed = result.history[-1].details["target"]
    assert isinstance(speed, dict)
    assert float(str(speed["measured"]).rstrip("x")) >= target * 0.98
    assert speed["predicted"] == speed["measured"]
    assert speed["on"] == "an additive machine"
    assert machine.compared == 1


def test_a_missed_target_is_corrected_by_what_was_measured(
    tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    machine = Additive(slower=1.2)

    result = Prune(examples(), target_speedup=2.0, latency=machine, **SMALL)(tiny_checkpoint())

    assert machine.compared == 2
    speed = result.history[-1].details["target"]
    assert isinstance(speed, dict)
    assert float(str(speed["measured"]).rstrip("x")) >= 1.96
    assert float(str(speed["predicted"]).rstrip("x")) > 2.3


def test_a_target_beyond_all_pruning_is_one_sentence(
    tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    prune = Prune(examples(), target_speedup=14.0, latency=Additive(), **SMALL)

    with pytest.raises(
        PassError,
        match=r"14 can't be met .* without any it would be 13\.00x, .* \(an add.*at 11\.70x",
    ):
        prune(tiny_checkpoint())


def test_held_out_answers_are_told(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    result = Prune(examples(), ffn=0.25, **SMALL)(tiny_checkpoint())

    notes = result.history[-1].details["notes"]
    assert isinstance(notes, list)
    assert re.fullmatch(r"answers as the model before to \d+\.\d% on samples held out", notes[1])


def test_a_target_needs_a_machine_and_no_fractions(examples: Examples) -> None:
    with pytest.raises(UsageError, match="needs latency"):
        Prune(examples(), target_speedup=1.5)
    with pytest.raises(UsageError, match="not heads and ffn and target_speedup"):
        Prune(examples(), heads=0.3, target_speedup=1.5, latency=Additive())
    with pytest.raises(UsageError, match=r"must be above 1, got 0.5"):
        Prune(examples(), target_speedup=0.5, latency=Additive())


def test_it_goes_on_from_its_state_and_gives_the_same_bytes(
    tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    settings = {"heads": 0.4, "ffn": 0.5, **SMALL}
    whole = Prune(examples(), **settings)(tiny_checkpoint())
    one = Prune(examples(), state_folder=str(tmp_path / "state"), **settings)

    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("sweep", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one(tiny_checkpoint(), progress=stop)
    told: list[str] = []
    resumed = one(tiny_checkpoint(), progress=lambda stage, *_: told.append(stage))

    a, b = whole.model.state_dict(), resumed.model.state_dict()
    assert all(a[name].equal(b[name]) for name in a)
    assert "curvature" not in told
    assert "state_folder" not in resumed.history[-1].settings


def parameters(checkpoint: Checkpoint) -> int:
    return sum(one.numel() for one in checkpoint.model.parameters())


def test_a_part_of_the_parameters_is_kept(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    before = parameters(tiny_checkpoint())

    result = Prune(examples(), target_params=0.7, **SMALL)(tiny_checkpoint())
    counted = Prune(examples(), target_params=0.7 * before, **SMALL)(tiny_checkpoint())

    assert 0.55 * before < parameters(result) <= 0.7 * before
    assert shape_of(result.model) == shape_of(counted.model)
    target = result.history[-1].details["target"]
    assert isinstance(target, dict)
    assert target["asked"] == "70.0% of the params"
    assert target["prediction_error"] == "0.0%"
    assert target["after"] == f"{parameters(result):,} parameters"


def test_a_part_of_the_operations_is_kept(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    result = Prune(examples(), target_flops=0.5, **SMALL)(tiny_checkpoint())

    target = result.history[-1].details["target"]
    assert isinstance(target, dict)
    assert float(str(target["measured"]).split("%")[0]) <= 50.0


def test_a_latency_is_met_on_the_machine(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    machine = Additive()  # whole: 1 + 2 * (2 + 4) seconds

    result = Prune(examples(), target_latency=8.0, latency=machine, **SMALL)(tiny_checkpoint())

    shape = shape_of(result.model)
    assert machine.table(result, progress=None).predict(shape.layer_heads, shape.layer_ffn) <= 8.16
    with pytest.raises(PassError, match="a latency of 20000 ms is met already"):
        Prune(examples(), target_latency=20.0, latency=machine, **SMALL)(tiny_checkpoint())


def test_answers_on_the_way_to_the_target_are_told(
    tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    result = Prune(examples(), target_speedup=4.0, latency=Additive(), **SMALL)(tiny_checkpoint())

    rungs = result.history[-1].details["ladder"]
    assert isinstance(rungs, list)
    assert [rung["at"] for rung in rungs] == ["1.41x", "2.00x", "2.83x", "4.00x"]
    assert all(0.0 <= rung["agreement"] <= 1.0 for rung in rungs)


def test_too_few_answers_that_stay_are_an_error_that_names_where_they_break(
    tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    checkpoint = tiny_checkpoint(task="token-classification")
    texts = examples(task="token-classification", count=40)
    prune = Prune(texts, target_speedup=8.0, min_agreement=1.0, latency=Additive(), **SMALL)

    with pytest.raises(PassError, match=r"only .*% of the answers .* 100\.0% were.* at 8\.00x"):
        prune(checkpoint)


def test_a_ratio_may_be_of_another_model(
    tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    checkpoint, machine = tiny_checkpoint(), Additive()
    folder = str(save(checkpoint, tmp_path / "whole"))
    once = Prune(examples(), target_speedup=1.5, latency=machine, **SMALL)(checkpoint)

    twice = Prune(examples(), target_speedup=3.0, reference=folder, latency=machine, **SMALL)(once)

    shape = shape_of(twice.model)
    whole, left = 13.0, machine.table(twice, progress=None)
    assert left.predict(shape.layer_heads, shape.layer_ffn) <= whole / 3 * 1.02


def test_each_removed_piece_is_explained(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    result = Prune(examples(count=40), heads=0.5, ffn=0.5, **SMALL)(tiny_checkpoint())

    told = explanation_of(result.history)
    assert told is not None
    shape = shape_of(result.model)
    assert [len(kept) for kept in told.heads_kept] == list(shape.layer_heads)
    assert told.ffn_after == shape.layer_ffn
    assert sum(piece.removed for piece in told.pieces if piece.unit == "heads") == 4
    assert sum(piece.removed for piece in told.pieces if piece.unit == "ffn") == 64
    assert all(piece.in_truth is not None and piece.in_truth >= 0 for piece in told.pieces)
    assert told.cost_unit == "KL, nats"


def test_a_dead_unit_goes_first(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    checkpoint = tiny_checkpoint()
    _, layer = layers_of(checkpoint.model)
    assert layer.attention_output is not None
    layer.attention_output.weight.data[:, 8:16] = 0  # head 1 of layer 1

    result = Prune(examples(), heads=1 / 8, **SMALL)(checkpoint)

    told = explanation_of(result.history)
    assert told is not None
    assert told.heads_kept == ((0, 1, 2, 3), (0, 2, 3))
