"""A run in its order: what is kept when it is interrupted, and what is measured twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.bench import rounds
from bertcompress.bench import run as module
from bertcompress.bench.roofs import Roof, Roofs
from bertcompress.bench.run import workloads_of
from bertcompress.bench.variant import Subject
from bertcompress.codec import Json
from bertcompress.report.benchmark import bench
from fixtures.bench_runs import SMALL_RUN, TUNED_RUN, two_fakes


def test_the_limits_are_measured_twice_and_kept_when_interrupted(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def measured(*, scratch: Path, threads: int, seconds: float) -> Roofs:
        asked.append(seconds)
        rate = 10.0 * len(asked)
        return Roofs(threads, (Roof("fp32", threads, rate, (rate,), "made up"),))

    def stop(*arguments: object, **settings: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "measure_roofs", measured)
    settings = replace(SMALL_RUN, roofs=True, roofs_s=0.5, rounds=1, accuracy=False, again=False)
    variants, state = two_fakes(tmp_path)[:1], tmp_path / "state"
    with monkeypatch.context() as patch:
        patch.setattr(module, "measure_round", stop)
        with pytest.raises(KeyboardInterrupt):
            bench(variants, subject, settings=settings, state_root=state)

    report = bench(variants, subject, settings=settings, state_root=state)

    assert asked == [0.25, 0.25]
    assert report.roofs is not None
    assert [one.rate for one in report.roofs.measured] == [20.0]
    assert report.results[0].operations is None  # a fake has none
    assert report.environment.load_after is not None
    positions = report.results[0].measurements[-1].positions
    assert positions[0][0] >= report.results[0].measurements[-1].tokens[0][0]


@pytest.mark.slow
def test_an_interrupted_run_keeps_its_finished_rounds(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants, state = two_fakes(tmp_path), tmp_path / "state"
    original, numbers = rounds.measure_round, []

    def interrupted(*arguments: object, number: int, **settings: object) -> object:
        numbers.append(number)
        if len(numbers) == 2:
            raise KeyboardInterrupt
        return original(*arguments, number=number, **settings)  # type: ignore[arg-type]  # as given

    monkeypatch.setattr(module, "measure_round", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench(variants, subject, settings=SMALL_RUN, state_root=state)
    kept = sorted(path.name for path in state.rglob("round-*.json"))
    first: Json = json.loads(next(state.rglob("round-000.json")).read_text(encoding="utf-8"))
    report = bench(variants, subject, settings=SMALL_RUN, state_root=state)

    assert kept == ["round-000.json"]
    assert numbers == [0, 1, 1]
    assert isinstance(first, dict)
    assert isinstance(first["entrants"], list)
    entrant = first["entrants"][0]
    assert isinstance(entrant, dict)
    assert isinstance(entrant["seconds"], list)
    assert list(report.results[0].measurements[0].rounds[0]) == entrant["seconds"][0]


def test_passages_are_a_workload_of_their_own(subject: Subject) -> None:
    settings = replace(TUNED_RUN, passage_length=48, passage_repeats=3)

    made = {workload.name: workload for workload in workloads_of(subject, settings, 0)}

    passages = made["passages-48"]
    assert passages.scenario == "grid"
    assert {feed["input_ids"].shape for feed in passages.feeds} == {(1, 48)}
    assert len(passages.feeds) == 3
    assert "passages-48" not in {w.name for w in workloads_of(subject, TUNED_RUN, 0)}
