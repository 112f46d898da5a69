"""Pruning to a target: that it is met, measured, corrected and told, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.bert.pruning.cost_table import CostTable
from bertcompress.bert.structure import shape_of
from bertcompress.codec import from_plain
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example
from bertcompress.passes.context import Context
from bertcompress.passes.prune.prune import check_goals
from bertcompress.search import prune_to_target
from bertcompress.search.latency_table import Timing
from bertcompress.search.prune_to_target import PruneToTarget, TargetDetails

Checkpoints = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]
SMALL = {"batch_size": 4, "multiple": 8}


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


Deployed = Callable[[Additive], Additive]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """Gives ``on(machine)``: time is measured on it from now on."""

    def deploy(machine: Additive) -> Additive:
        monkeypatch.setattr(prune_to_target, "MeasureLatency", lambda *_: machine)
        return machine

    return deploy


def told(checkpoint: Checkpoint) -> TargetDetails:
    return from_plain(TargetDetails, checkpoint.history[-1].details)


@pytest.mark.parametrize("target", [1.3, 2.0, 4.0])
def test_a_target_is_met_and_told(
    target: float, on: Deployed, tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    machine = on(Additive())

    result = PruneToTarget(target_speedup=target, **SMALL)(tiny_checkpoint(), Context(examples()))

    speed = told(result).target
    assert float(speed["measured"].rstrip("x")) >= target * 0.98
    assert speed["predicted"] == speed["measured"]
    assert speed["on"] == "an additive machine"
    assert machine.compared == 1


def test_a_missed_target_is_corrected_by_what_was_measured(
    on: Deployed, tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    machine = on(Additive(slower=1.2))

    result = PruneToTarget(target_speedup=2.0, **SMALL)(tiny_checkpoint(), Context(examples()))

    assert machine.compared == 2
    speed = told(result).target
    assert float(speed["measured"].rstrip("x")) >= 1.96
    assert float(speed["predicted"].rstrip("x")) > 2.3


def test_a_target_beyond_all_pruning_is_one_sentence(
    on: Deployed, tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    on(Additive())

    with pytest.raises(
        PassError,
        match=r"14 can't be met .* without any it would be 13\.00x, .* \(an add.*at 11\.70x",
    ):
        PruneToTarget(target_speedup=14.0, **SMALL)(tiny_checkpoint(), Context(examples()))


def test_what_can_not_be_meant_is_refused(tiny_checkpoint: Checkpoints) -> None:
    with pytest.raises(UsageError, match="must know what to remove"):
        PruneToTarget()
    with pytest.raises(UsageError, match="not target_speedup and target_params"):
        PruneToTarget(target_speedup=1.5, target_params=0.5)
    with pytest.raises(UsageError, match="not heads and ffn and target_speedup"):
        check_goals(["heads and ffn", "target_speedup"])
    with pytest.raises(UsageError, match=r"must be above 1, got 0.5"):
        PruneToTarget(target_speedup=0.5)
    with pytest.raises(UsageError, match="precision is for a target in time; add target_speedup"):
        PruneToTarget(target_params=0.5, precision="int8")
    with pytest.raises(UsageError, match="threads is for a target in time; add target_speedup"):
        PruneToTarget(target_flops=0.5, timing=Timing(threads=2))
    with pytest.raises(UsageError, match="int8 can't be measured in openvino"):
        PruneToTarget(target_speedup=2.0, precision="int8", runtime="openvino")
    with pytest.raises(UsageError, match="min_agreement must be within"):
        PruneToTarget(target_speedup=2.0, min_agreement=1.5)
    with pytest.raises(UsageError, match="none was given; add --data"):
        PruneToTarget(target_speedup=2.0)(tiny_checkpoint())


def parameters(checkpoint: Checkpoint) -> int:
    return sum(one.numel() for one in checkpoint.model.parameters())


def test_a_part_of_the_parameters_is_kept(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    before = parameters(tiny_checkpoint())

    result, counted = (
        PruneToTarget(target_params=params, **SMALL)(tiny_checkpoint(), Context(examples()))
        for params in (0.7, 0.7 * before)
    )

    assert 0.55 * before < parameters(result) <= 0.7 * before
    assert shape_of(result.model) == shape_of(counted.model)
    target = told(result).target
    assert target["asked"] == "70.0% of the params"
    assert target["prediction_error"] == "0.0%"
    assert target["after"] == f"{parameters(result):,} parameters"


def test_a_part_of_the_operations_is_kept(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    result = PruneToTarget(target_flops=0.5, **SMALL)(tiny_checkpoint(), Context(examples()))

    assert float(told(result).target["measured"].split("%")[0]) <= 50.0


def test_a_latency_is_met_on_the_machine(
    on: Deployed, tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    machine, context = on(Additive()), Context(examples())  # whole: 1 + 2 * (2 + 4) seconds

    result = PruneToTarget(target_latency=8.0, **SMALL)(tiny_checkpoint(), context)

    shape = shape_of(result.model)
    assert machine.table(result, progress=None).predict(shape.layer_heads, shape.layer_ffn) <= 8.16
    with pytest.raises(PassError, match="a latency of 20000 ms is met already"):
        PruneToTarget(target_latency=20.0, **SMALL)(tiny_checkpoint(), context)


def test_answers_on_the_way_to_the_target_are_told(
    on: Deployed, tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    on(Additive())

    result = PruneToTarget(target_speedup=4.0, **SMALL)(tiny_checkpoint(), Context(examples()))

    rungs = told(result).ladder
    assert [rung.at for rung in rungs] == ["1.41x", "2.00x", "2.83x", "4.00x"]
    assert all(0.0 <= rung.agreement <= 1.0 for rung in rungs)


def test_too_few_answers_that_stay_are_an_error_that_names_where_they_break(
    on: Deployed, tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    checkpoint = tiny_checkpoint(task="token-classification")
    texts = Context(examples(task="token-classification", count=40))
    prune = PruneToTarget(target_speedup=8.0, min_agreement=1.0, **SMALL)
    on(Additive())

    with pytest.raises(PassError, match=r"only .*% of the answers .* 100\.0% were.* at 8\.00x"):
        prune(checkpoint, texts)


def test_a_ratio_may_be_of_another_model(
    on: Deployed, tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    checkpoint, machine, context = tiny_checkpoint(), on(Additive()), Context(examples())
    folder = str(save(checkpoint, tmp_path / "whole"))
    once = PruneToTarget(target_speedup=1.5, **SMALL)(checkpoint, context)

    named = PruneToTarget(target_speedup=3.0, reference=folder, **SMALL)(once, context)
    known = PruneToTarget(target_speedup=3.0, reference="", **SMALL)(
        once, context.changed(original=lambda: checkpoint)
    )

    shape = shape_of(named.model)
    whole, left = 13.0, machine.table(named, progress=None)
    assert left.predict(shape.layer_heads, shape.layer_ffn) <= whole / 3 * 1.02
    assert shape_of(known.model) == shape
