"""Whole comparisons: on fake artifacts, and on made-up rounds where only the decision matters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bertcompress.bench.rounds import Entrant, EntrantRound, MemorySample, RoundResult
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.fake import FakeArtifact, write_fake
from bertcompress.bench.workload import Workload
from bertcompress.errors import LoadError, RunError, UsageError
from bertcompress.gates import compare as module
from bertcompress.gates.compare import CompareSettings, compare
from bertcompress.gates.gate import GateResult
from bertcompress.stats.slowdown import IS_HEAD
from fixtures.bench_runs import two_fakes

SMALL = CompareSettings(
    looks=(1,),
    requests=8,
    blocks=4,
    warm_minimum_s=0.02,
    warm_maximum_s=0.05,
    threads=1,
    examples=30,
)

MakeRounds = Callable[..., list[int]]


def pair(tmp_path: Path, head: FakeArtifact | None = None) -> tuple[Variant, Variant]:
    first = write_fake(tmp_path / "a", FakeArtifact(seconds=0.002))
    second = write_fake(tmp_path / "b", head or FakeArtifact(seconds=0.002))
    return Variant("base", first, "fake"), Variant("head", second, "fake")


def states(gates: Sequence[GateResult]) -> dict[str, str]:
    return {gate.gate: gate.state for gate in gates}


@pytest.fixture
def made_rounds(monkeypatch: pytest.MonkeyPatch) -> MakeRounds:
    """Puts made-up rounds in the place of measured ones; returns the numbers asked for."""

    def use(slowdown: float, noise: float) -> list[int]:
        asked: list[int] = []

        def made(
            entrants: Sequence[Entrant],
            workloads: Sequence[Workload],
            *,
            number: int,
            **settings: object,
        ) -> RoundResult:
            del settings
            asked.append(number)
            own = np.random.default_rng(number).normal(0.0, noise, 4)
            seconds = 3e-3 * np.exp(own + math.log1p(slowdown) * np.asarray(IS_HEAD))
            requests = len(workloads[0].feeds)
            memory = MemorySample(1, 2, 3, 4)
            return RoundResult(
                tuple(
                    EntrantRound(
                        one.name, "fake", 0.1, 0.1, True, memory, ((float(s),) * requests,)
                    )
                    for one, s in zip(entrants, seconds, strict=True)
                ),
                0.9,
                0.0,
            )

        monkeypatch.setattr(module, "measure_round", made)
        return asked

    return use


def test_a_comparison_measures_both_builds_and_everything_that_can_be_counted(
    subject: Subject, tmp_path: Path
) -> None:
    told: list[tuple[str, int, int]] = []

    found = compare(
        *pair(tmp_path, FakeArtifact(seconds=0.02, shift=2)),
        subject,
        settings=SMALL,
        command="bertcompress compare a b",
        progress=lambda *event: told.append(event),
    )

    assert found.slowdown is not None
    assert 2.0 < found.slowdown.estimate < 20.0
    assert states(found.gates)["slowdown"] == "failed"
    assert states(found.gates)["file size"] == "passed"
    assert found.dataset.count == found.base.accuracy.count == 30
    assert found.base.accuracy.value > found.head.accuracy.value
    assert states(found.gates)["drop"] == "failed"
    assert found.paired.flip_count > 0
    assert found.base.peak_bytes > 10_000_000
    assert [one.name for one in found.rounds[0].entrants] == [
        "base",
        "head",
        "head (second process)",
        "base (second process)",
    ]
    assert found.environment.busy_fraction is not None
    assert told[-1] == ("timing", 1, 1)


def test_the_run_ends_as_soon_as_it_is_decided(
    subject: Subject, tmp_path: Path, made_rounds: MakeRounds
) -> None:
    settings = replace(SMALL, looks=(3, 5, 8))

    asked = made_rounds(0.0, 0.002)
    quiet = compare(*pair(tmp_path), subject, settings=settings)

    assert asked == [0, 1, 2]
    assert states(quiet.gates)["slowdown"] == "passed"

    asked = made_rounds(0.2, 0.05)
    slow = compare(*pair(tmp_path), subject, settings=settings)

    assert asked in ([0, 1, 2], [0, 1, 2, 3, 4], list(range(8)))
    assert states(slow.gates)["slowdown"] == "failed"


def test_a_machine_that_can_not_tell_makes_the_gate_abstain_with_the_reason(
    subject: Subject, tmp_path: Path, made_rounds: MakeRounds
) -> None:
    asked = made_rounds(0.0, 0.2)

    found = compare(*pair(tmp_path), subject, settings=replace(SMALL, looks=(3, 5)))

    gate = found.gates[-1]
    assert len(asked) == 5
    assert (gate.gate, gate.state) == ("slowdown", "abstained")
    assert "after 5 rounds this machine tells a slowdown from none only from" in gate.sentence
    assert found.slowdown is not None
    assert found.slowdown.resolution > 0.03


def test_finished_rounds_are_kept_when_a_run_is_interrupted(
    subject: Subject, tmp_path: Path, made_rounds: MakeRounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, state = replace(SMALL, looks=(3,)), tmp_path / "state"
    sides = pair(tmp_path)
    asked = made_rounds(0.0, 0.001)
    whole = module.measure_round

    def interrupted(*arguments: object, number: int, **others: object) -> RoundResult:
        if number == 2:
            raise KeyboardInterrupt
        return whole(*arguments, number=number, **others)  # type: ignore[arg-type]  # as given

    with monkeypatch.context() as patch:
        patch.setattr(module, "measure_round", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compare(*sides, subject, settings=settings, state_root=state)
    found = compare(*sides, subject, settings=settings, state_root=state)

    assert asked == [0, 1, 2]
    assert len(found.rounds) == 3
    assert not state.exists()


def test_other_builds_do_not_take_up_kept_rounds(
    subject: Subject, tmp_path: Path, made_rounds: MakeRounds
) -> None:
    asked = made_rounds(0.0, 0.001)
    sides, state = pair(tmp_path), tmp_path / "state"

    compare(*sides, subject, settings=SMALL, state_root=state)
    compare(*sides, subject, settings=replace(SMALL, requests=9), state_root=state)

    assert asked == [0, 0]


def test_without_speed_only_what_holds_on_any_machine_is_found(
    subject: Subject, tmp_path: Path, made_rounds: MakeRounds
) -> None:
    asked = made_rounds(0.0, 0.001)

    found = compare(*pair(tmp_path), subject, settings=replace(SMALL, speed=False))

    assert asked == []
    assert found.slowdown is None
    assert set(states(found.gates)) == {"drop", "file size", "peak memory"}


def test_impossible_comparisons_are_refused(subject: Subject, tmp_path: Path) -> None:
    base, head = pair(tmp_path)

    with pytest.raises(UsageError, match="two variants are called"):
        compare(base, base, subject, settings=SMALL)
    with pytest.raises(LoadError, match="not a folder"):
        compare(base, replace(head, folder=tmp_path / "gone"), subject, settings=SMALL)
    write_fake(head.folder, FakeArtifact(fail_run="no kernel for this operator"))
    with pytest.raises(RunError, match="head: no kernel for this operator"):
        compare(base, head, subject, settings=SMALL)


def test_a_head_that_reads_other_tokens_is_refused(subject: Subject, tmp_path: Path) -> None:
    base, head = two_fakes(tmp_path)
    other = replace(subject, features=subject.features[::-1])

    with pytest.raises(UsageError, match="INT8 reads the texts as other tokens than FP32 does"):
        compare(base, replace(head, reads=other), subject)
