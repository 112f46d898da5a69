"""The race between runtimes: what is measured decides, is kept, and is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.artifacts.manifest import read_manifest
from bertcompress.bench import runtime_race as module
from bertcompress.bench.runtime_race import choose_runtime, usual_runtimes
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.variant import Subject
from bertcompress.errors import RunError, UsageError
from bertcompress.inference.best_settings import (
    RuntimeChoice,
    runtime_choice_of,
    save_runtime_choice,
)
from bertcompress.inference.predictor import runtime_here
from bertcompress.machine.environment import available_threads, cpu_model

SETTINGS = BenchSettings(tune_batches=(8,), tune_slice_s=0.01, offline_sentences=24)


@pytest.fixture
def small_ids(subject: Subject) -> Subject:
    """The same texts in tokens that the tiny model has."""
    features = [
        replace(one, inputs={**one.inputs, "input_ids": one.inputs["input_ids"] % 100})
        for one in subject.features
    ]
    return replace(subject, features=features)


@pytest.fixture
def artifact(tiny_graph: Callable[..., OnnxModel], tmp_path: Path) -> Path:
    return save(tiny_graph(), tmp_path / "model")


def test_the_fastest_of_the_race_is_kept_and_auto_takes_it(
    artifact: Path, small_ids: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TURNS", 2)
    monkeypatch.setattr(module, "SLICE_S", 0.02)

    race = choose_runtime(artifact, small_ids, SETTINGS, ("ort-cpu", "torch-cpu"), threads=1)

    assert [one.runtime for one in race.speeds] == ["ort-cpu"]
    assert "holds a graph" in race.refused["torch-cpu"]
    assert race.speeds[0].single_s > 0
    assert race.speeds[0].sentences_per_s > 0
    assert (race.choice.single, race.choice.many, race.choice.cpus) == ("ort-cpu", "ort-cpu", 1)
    assert race.saved
    assert runtime_choice_of(read_manifest(artifact)) == race.choice


@pytest.mark.parametrize("slow", ["ort-cpu", "openvino"])
def test_the_slower_one_loses(
    slow: str, artifact: Path, small_ids: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(module, "TURNS", 2)
    monkeypatch.setattr(module, "SLICE_S", 0.02)
    measured = module._turns

    def slowed(*arguments: object) -> dict[str, float]:
        found = measured(*arguments)  # type: ignore[arg-type]  # as given
        worse = 1e3 if arguments[3] == "one text" else 1e-3
        return {name: value * (worse if name == slow else 1) for name, value in found.items()}

    monkeypatch.setattr(module, "_turns", slowed)

    race = choose_runtime(artifact, small_ids, SETTINGS, ("ort-cpu", "openvino"), threads=1)

    other = {"ort-cpu": "openvino", "openvino": "ort-cpu"}[slow]
    assert (race.choice.single, race.choice.many) == (other, other)


def test_as_fast_within_two_percent_is_the_first() -> None:
    assert module._first_of_the_best([("a", 1.019), ("b", 1.0)]) == "a"
    assert module._first_of_the_best([("a", 1.03), ("b", 1.0)]) == "b"


def test_auto_obeys_a_choice_made_here_and_says_why_not(artifact: Path) -> None:
    said: list[str] = []
    here = RuntimeChoice("openvino", "openvino", cpu_model(), available_threads())
    pytest.importorskip("openvino")

    assert runtime_here(artifact) == "ort-cpu"
    save_runtime_choice(artifact, here)
    assert runtime_here(artifact, note=said.append) == "openvino"
    assert runtime_here(artifact, "ort-cpu") == "ort-cpu"
    assert not said
    save_runtime_choice(artifact, replace(here, cpu_model="another CPU"))
    assert runtime_here(artifact, note=said.append) == "ort-cpu"
    assert "found best on another CPU" in said[0]


def test_a_chosen_runtime_that_can_not_be_had_is_told(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertcompress.errors import MissingDependencyError
    from bertcompress.inference import predictor as tuned_answers

    known = tuned_answers.runtime_for

    def without(folder: Path, name: str = "auto") -> str:
        if name == "openvino":
            raise MissingDependencyError("openvino", "openvino", "running a graph in OpenVINO")
        return known(folder, name)

    monkeypatch.setattr(tuned_answers, "runtime_for", without)
    save_runtime_choice(
        artifact, RuntimeChoice("openvino", "openvino", cpu_model(), available_threads())
    )
    said: list[str] = []

    assert runtime_here(artifact, note=said.append) == "ort-cpu"
    assert 'type: pip install "bertcompress[openvino]"' in said[0]


def test_nothing_that_runs_it_is_an_error(artifact: Path, small_ids: Subject) -> None:
    with pytest.raises(RunError, match=r"none of torch-cpu runs .*model; torch-cpu: "):
        choose_runtime(artifact, small_ids, SETTINGS, ("torch-cpu",), threads=1)
    with pytest.raises(UsageError, match="no runtime was named"):
        choose_runtime(artifact, small_ids, SETTINGS, (), threads=1)


def test_what_is_compared_follows_from_the_folder(
    artifact: Path, tiny_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert usual_runtimes(artifact) == ("ort-cpu", "openvino")
    assert usual_runtimes(tiny_folder()) == ("torch-cpu",)
    monkeypatch.setattr(module, "why_unusable", lambda name: None)  # as on a machine with a GPU
    assert usual_runtimes(artifact) == ("ort-cpu", "openvino", "ort-cuda", "ort-tensorrt")
    assert "torch-cuda-fp16" in usual_runtimes(tiny_folder())
    assert "torch-cuda-int8" not in usual_runtimes(tiny_folder())
