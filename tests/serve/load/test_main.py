"""Loads of a real server, in both kinds of loop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.serve.load.plan import LoadPlan
from bertcompress.serve.load.run import live_server, run_load
from bertcompress.serve.settings import ModelSettings, ServeSettings

BODIES = tuple(json.dumps({"inputs": text}) for text in ("good", "a bad film"))


@pytest.fixture(scope="module")
def plan(graph_folder: Callable[..., Path]) -> Iterator[LoadPlan]:
    settings = ServeSettings(port=0, engines="inline", cache_bytes=0)
    with live_server({"m": ModelSettings(graph_folder())}, settings) as (port, _):
        yield LoadPlan("127.0.0.1", port, "/predict", BODIES, connections=4, seconds=0.5)


def test_a_closed_loop_asks_again_at_once(plan: LoadPlan) -> None:
    found = run_load(plan)
    assert found.statuses == {"200": len(found.latencies_s)}
    assert found.rate > 10
    assert found.loader_cpu_s > 0


def test_arrivals_come_whether_or_not_it_is_ready(plan: LoadPlan) -> None:
    found = run_load(replace(plan, rate=100.0, connections=1))
    assert found.statuses == {"200": 50}
    assert found.late_s < 1.0


def test_answers_are_looked_at(plan: LoadPlan) -> None:
    right = run_load(replace(plan, expected=("label", "label")))
    wrong = run_load(replace(plan, expected=("label", "no such label")))
    assert right.wrong == 0
    assert wrong.wrong == pytest.approx(len(wrong.latencies_s) / 2, abs=4)


def test_refusals_are_counted_by_status(plan: LoadPlan) -> None:
    found = run_load(replace(plan, bodies=("no JSON",)))
    assert set(found.statuses) == {"400"}
