"""The race of runtimes as it is printed, and what is refused before it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bertcompress.bench import runtime_race
from bertcompress.bench.runtime_race import RuntimeRace, RuntimeSpeed
from bertcompress.inference.best_settings import RuntimeChoice, RuntimeSettings

Ok = Callable[..., str]
Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def race(monkeypatch: pytest.MonkeyPatch) -> RuntimeRace:
    """Stands for the race: nothing is measured."""
    settings = RuntimeSettings("ort-cpu", 1, 2, 1, 16, sort_by_length=True, cpu_model="a", cpus=2)
    outcome = RuntimeRace(
        speeds=(RuntimeSpeed("ort-cpu", settings, 0.0025, 1234.0),),
        choice=RuntimeChoice("ort-cpu", "ort-cpu", "a", 2),
        saved=False,
        refused={"openvino": "it is not installed"},
    )
    monkeypatch.setattr(runtime_race, "choose_runtime", lambda *given, **more: outcome)
    return outcome


def test_people_get_a_table_and_the_choice(
    bc: Run, here: Path, model: Path, data: Path, race: RuntimeRace
) -> None:
    outcome = bc("tune", model, "--data", data)

    assert outcome.returncode == 0
    assert "2.50 ms" in outcome.stdout
    assert "1,234/s" in outcome.stdout
    assert "2 × 1" in outcome.stdout
    assert outcome.stdout.rstrip().endswith("one text: ort-cpu; many texts: ort-cpu")
    assert "note: openvino is left out: it is not installed" in outcome.stderr
    assert "the choice is not kept" in outcome.stderr


def test_programs_get_all_of_it(
    ok: Ok, here: Path, model: Path, data: Path, race: RuntimeRace
) -> None:
    facts = json.loads(ok("tune", model, "--data", data, "--json"))

    assert facts["choice"]["many"] == race.choice.many
    assert facts["speeds"][0]["settings"]["batch_size"] == 16


def test_what_can_not_be_meant_is_one_sentence(
    fails: Ok, here: Path, model: Path, data: Path
) -> None:
    assert "threads must be 1 or more, got 0" in fails(2, "tune", model, "--threads", 0)
    assert "there is no runtime 'fast'" in fails(2, "tune", model, "--runtime", "fast")
    assert "tune needs data; type: bertcompress tune" in fails(2, "tune", model)
