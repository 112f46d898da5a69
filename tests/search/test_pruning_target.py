"""A pruning target: how it is told, how time is measured, and the sentence when it can't be met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.pruning.cost_table import CostTable
from bertcompress.search.pruning_target import PruningTarget, Rung, broken_at

TABLE = CostTable(1.0, ((0, 0.0), (4, 2.0)), ((0, 0.0), (64, 4.0)), deployment="a machine")


def test_time_is_told_as_a_speed_up_and_a_number_as_a_part(
    tiny_checkpoint: Callable[..., Checkpoint],
) -> None:
    timed = PruningTarget(TABLE, 13.0, 6.5, "a speed-up of 2", tiny_checkpoint())
    counted = replace(timed, table=replace(TABLE, measure="parameters", deployment=""))

    assert timed.told(6.5, 6.5)["measured"] == "2.00x"
    assert timed.told(6.5, 6.5)["on"] == "a machine"
    assert timed.amount(6.5) == "6500.000 ms a text"
    assert "without any it would be 13.00x, 1000.000 ms a text (a machine)" in timed.why_not()
    assert counted.told(6.5, 6.5)["measured"] == "50.0% of the parameters"
    assert "on" not in counted.told(6.5, 6.5)
    assert counted.measured(tiny_checkpoint(), 6.5, lambda *_: None) == 6.5


def test_rungs_end_a_sentence() -> None:
    assert broken_at([]) == ""
    rungs = [Rung("1.41x", 0.99, 0.1), Rung("2.00x", 0.9, 0.2)]
    assert broken_at(rungs) == "; answers stay the same to 99.0% at 1.41x, 90.0% at 2.00x"
