"""Whole runs on fake artifacts: rounds, resuming, errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import Step
from bertcompress.artifacts.manifest import write_manifest
from bertcompress.bench import rounds
from bertcompress.bench import run as module
from bertcompress.bench.names import AGAIN
from bertcompress.bench.roofs import Roof, Roofs
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.variant import Subject, Variant, check
from bertcompress.bench.worker.fake import FILE_NAME, FakeArtifact, write_fake
from bertcompress.codec import Json, to_plain
from bertcompress.errors import LoadError, RunError, UsageError
from bertcompress.examples import Dataset
from bertcompress.machine.environment import read_environment
from bertcompress.passes.prune.removed import Explanation
from bertcompress.report import benchmark
from bertcompress.report.benchmark import bench
from bertcompress.report.summary import summarize

SMALL = BenchSettings(
    rounds=2,
    requests=6,
    grid_lengths=(8, 16),
    grid_repeats=2,
    offline_batches=(1, 4),
    offline_sentences=12,
    blocks=2,
    warm_minimum_s=0.02,
    warm_maximum_s=0.05,
    threads=1,
    roofs=False,
    tune=False,
)


def two_fakes(tmp_path: Path) -> list[Variant]:
    slow = write_fake(tmp_path / "a", FakeArtifact(seconds=0.002))
    fast = write_fake(tmp_path / "b", FakeArtifact(seconds=0.0005, shift=2))
    return [Variant("FP32", slow, "fake"), Variant("INT8", fast, "fake")]


def test_a_run_measures_everything_on_every_variant(subject: Subject, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    report = bench(
        two_fakes(tmp_path),
        replace(subject, tokenize=lambda example: example.id.split()),
        settings=SMALL,
        state_root=tmp_path / "state",
        command="bertcompress bench a b",
        progress=lambda *event: told.append(event),
    )

    base, other = report.results
    assert [result.name for result in report.results] == ["FP32", "INT8"]
    assert [m.name for m in base.measurements] == [
        "own-lengths",
        "grid-1x8",
        "grid-1x16",
        "offline-1",
        "offline-4",
    ]
    own = base.measurements[0]
    assert [len(row) for row in own.rounds] == [6, 6]
    assert own.tokens == other.measurements[0].tokens
    assert own.tokens[0] != own.tokens[1]
    assert report.again is not None
    assert [len(row) for row in report.again.rounds] == [6, 6]
    assert base.accuracy is not None
    assert base.accuracy.interval is not None
    assert base.paired is None
    assert other.paired is not None
    assert 0 < other.paired.flip_count < 30
    assert len(base.memory) == 2
    assert min(base.first_answer_s) >= min(base.load_s) > 0
    assert base.size.file_bytes == (tmp_path / "a" / FILE_NAME).stat().st_size
    assert report.environment.busy_fraction is not None
    assert len(report.tokenization_s) == 6
    assert all(0 <= second < 0.1 for second in report.tokenization_s)
    assert told[-1][1] == told[-1][2]
    speedup = summarize(report).variants[1].latency
    assert speedup is not None
    assert speedup.speedup is not None
    assert speedup.speedup.estimate > 1.0
    assert list((tmp_path / "state").iterdir()) == []


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
    settings = replace(SMALL, roofs=True, roofs_s=0.5, rounds=1, accuracy=False, again=False)
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
        bench(variants, subject, settings=SMALL, state_root=state)
    kept = sorted(path.name for path in state.rglob("round-*.json"))
    first: Json = json.loads(next(state.rglob("round-000.json")).read_text(encoding="utf-8"))
    report = bench(variants, subject, settings=SMALL, state_root=state)

    assert kept == ["round-000.json"]
    assert numbers == [0, 1, 1]
    assert isinstance(first, dict)
    assert isinstance(first["entrants"], list)
    entrant = first["entrants"][0]
    assert isinstance(entrant, dict)
    assert isinstance(entrant["seconds"], list)
    assert list(report.results[0].measurements[0].rounds[0]) == entrant["seconds"][0]


def test_kept_answers_are_not_computed_again(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants, state = two_fakes(tmp_path)[:1], tmp_path / "state"

    def stop(*arguments: object, **settings: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "measure_round", stop)
        with pytest.raises(KeyboardInterrupt):
            bench(variants, subject, settings=SMALL, state_root=state)
    outputs = {path: path.stat().st_mtime_ns for path in state.rglob("*.npz")}
    with monkeypatch.context() as patch:
        patch.setattr(module, "measure_round", stop)
        with pytest.raises(KeyboardInterrupt):
            bench(variants, subject, settings=SMALL, state_root=state)

    assert len(outputs) == 2
    assert {path: path.stat().st_mtime_ns for path in state.rglob("*.npz")} == outputs


def test_other_settings_start_anew(subject: Subject, tmp_path: Path) -> None:
    variants = two_fakes(tmp_path)
    machine = read_environment(threads=1, thread_variables={})

    one = benchmark._state_key(variants, subject, SMALL, machine)
    write_fake(tmp_path / "b", FakeArtifact(seconds=0.0001))

    assert benchmark._state_key(variants, subject, replace(SMALL, seed=1), machine) != one
    assert benchmark._state_key(variants, subject, SMALL, machine) != one


def test_a_variant_that_fails_ends_the_run_with_its_name(subject: Subject, tmp_path: Path) -> None:
    variants = two_fakes(tmp_path)
    write_fake(tmp_path / "b", FakeArtifact(fail_run="no kernel for this operator"))

    with pytest.raises(RunError, match="INT8: no kernel for this operator"):
        bench(variants, subject, settings=SMALL)


def test_one_after_the_other_needs_no_two_processes(subject: Subject, tmp_path: Path) -> None:
    settings = replace(SMALL, side_by_side=False, accuracy=False, rounds=1, again=False)

    report = bench(two_fakes(tmp_path), subject, settings=settings)

    assert report.again is None
    assert report.results[1].accuracy is None
    assert len(report.results[1].measurements[0].rounds[0]) == 6


def test_what_pruning_removed_is_kept_in_the_report(
    subject: Subject, tmp_path: Path, explanation: Explanation
) -> None:
    fakes = two_fakes(tmp_path)
    details = {"explain": to_plain(explanation)}
    step = Step("Prune", {}, 1.0, 20, 10, 80, 40, details)
    write_manifest(fakes[1].folder, kind="checkpoint", task=subject.task.name, history=[step])

    report = bench(fakes, subject, settings=replace(SMALL, rounds=1, accuracy=False))

    assert [result.explanation for result in report.results] == [None, explanation]


def test_a_damaged_explanation_is_refused_before_anything_is_measured(
    subject: Subject, tmp_path: Path
) -> None:
    fakes = two_fakes(tmp_path)
    step = Step("Prune", {}, 1.0, 20, 10, 80, 40, {"explain": {"cost_unit": "KL, nats"}})
    write_manifest(fakes[1].folder, kind="checkpoint", task=subject.task.name, history=[step])

    with pytest.raises(LoadError, match="the step Prune says of its cuts is damaged"):
        check(fakes, subject)


def test_impossible_runs_are_refused_before_anything_is_measured(
    subject: Subject, tmp_path: Path
) -> None:
    fakes = two_fakes(tmp_path)

    with pytest.raises(UsageError, match="at least one artifact"):
        bench([], subject)
    with pytest.raises(UsageError, match="two variants are called 'FP32'"):
        bench([fakes[0], fakes[0]], subject)
    with pytest.raises(UsageError, match="may be called"):
        bench([replace(fakes[0], name=AGAIN)], subject)
    with pytest.raises(UsageError, match="at least one example"):
        bench(fakes, replace(subject, dataset=Dataset((), "empty", "test")))
    with pytest.raises(LoadError, match="not a folder"):
        bench([Variant("gone", tmp_path / "gone")], subject)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"grid_batches": (0,)}, "grid_batches"),
        ({"grid_lengths": (2,)}, "grid_lengths must be at least 3"),
        ({"max_drop": 1.0}, r"did you mean 0.01\?"),
        ({"warm_maximum_s": 0.1}, "must not be below"),
    ],
)
def test_settings_that_can_not_be_meant_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        BenchSettings(**settings)  # type: ignore[arg-type]  # wrong on purpose
