"""Predict and evaluate use what bench found best, on the machine it was found on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.bench.variant import Subject
from bertcompress.errors import UsageError
from bertcompress.inference import predictor as tuned_answers
from bertcompress.inference.answers import Answers
from bertcompress.inference.best_settings import RuntimeSettings, save_runtime_settings
from bertcompress.inference.predictor import answer_tuned
from bertcompress.inference.streams import Streams, open_streams
from bertcompress.machine.environment import available_threads, cpu_model
from bertcompress.tasks.base import Feature
from bertcompress.tasks.text_classification import TextClassification

Opened = list[tuple[int, int]]


@pytest.fixture
def folder(tiny_graph: Callable[..., OnnxModel], tmp_path: Path) -> Path:
    return save(tiny_graph(), tmp_path / "graph")


@pytest.fixture
def settings() -> RuntimeSettings:
    return RuntimeSettings(
        runtime="ort-cpu",
        latency_threads=2,
        streams=3,
        threads=1,
        batch_size=4,
        sort_by_length=True,
        cpu_model=cpu_model(),
        cpus=available_threads(),
    )


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Records what is opened: streams and threads."""
    seen: Opened = []

    @contextmanager
    def recorded(folder: Path, name: str, *, streams: int, threads: int) -> Iterator[Streams]:
        seen.append((streams, threads))
        with open_streams(folder, name, streams=streams, threads=threads) as made:
            yield made

    monkeypatch.setattr(tuned_answers, "open_streams", recorded)
    return seen


def answers(
    folder: Path, subject: Subject, count: int, *, threads: int | None = None
) -> tuple[Answers, list[str]]:
    told: list[str] = []
    features = [shortened(feature) for feature in subject.features[:count]]
    found = answer_tuned(
        folder,
        TextClassification(("negative", "positive")),
        features,
        subject.dataset.examples[:count],
        threads=threads,
        note=told.append,
    )
    return found, told


def shortened(feature: Feature) -> Feature:
    """Brings the ids into the tiny model's vocabulary."""
    inputs = {**feature.inputs, "input_ids": feature.inputs["input_ids"] % 50}
    return Feature(feature.example_index, inputs)


def test_the_saved_settings_are_used_and_the_answers_are_the_same(
    folder: Path, settings: RuntimeSettings, opened: Opened, subject: Subject
) -> None:
    plain, _ = answers(folder, subject, 30)
    save_runtime_settings(folder, settings)
    tuned, told = answers(folder, subject, 30)

    assert opened == [(1, available_threads()), (3, 1)]
    assert told == []
    assert [p.answer for p in tuned.predictions] == [p.answer for p in plain.predictions]
    for one, two in zip(tuned.logits, plain.logits, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_a_single_batch_gets_one_runtime_with_the_threads_of_single_texts(
    folder: Path, settings: RuntimeSettings, opened: Opened, subject: Subject
) -> None:
    save_runtime_settings(folder, settings)

    answers(folder, subject, 4)
    answers(folder, subject, 1)
    answers(folder, subject, 7)

    assert opened == [(1, 2), (1, 2), (2, 1)]


def test_threads_that_were_typed_come_first(
    folder: Path, settings: RuntimeSettings, opened: Opened, subject: Subject
) -> None:
    save_runtime_settings(folder, settings)

    _, told = answers(folder, subject, 30, threads=1)

    assert opened == [(1, 1)]
    assert told == []


def test_settings_of_another_machine_are_passed_over_with_a_note(
    folder: Path, settings: RuntimeSettings, opened: Opened, subject: Subject
) -> None:
    save_runtime_settings(folder, replace(settings, cpu_model="Another CPU"))

    _, told = answers(folder, subject, 30)

    assert opened == [(1, available_threads())]
    assert len(told) == 1
    assert told[0].startswith("its settings were found best on Another CPU and are not used on")


def test_settings_of_another_runtime_are_not_these(
    folder: Path, settings: RuntimeSettings, opened: Opened, subject: Subject
) -> None:
    save_runtime_settings(folder, replace(settings, runtime="openvino-cpu"))

    _, told = answers(folder, subject, 30)

    assert opened == [(1, available_threads())]
    assert told == []


def test_no_threads_are_refused(folder: Path, subject: Subject) -> None:
    with pytest.raises(UsageError, match="threads must be 1 or more, got 0"):
        answers(folder, subject, 2, threads=0)
