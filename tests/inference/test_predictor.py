"""A model folder answers texts: at its best settings, with its weights read once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.artifacts.graph_file import ONNX_NAME
from bertcompress.bert.loading.weights import read_model
from bertcompress.errors import LoadError, UsageError
from bertcompress.examples import Example, QuestionExample, TextExample, UnsplitExample
from bertcompress.inference import predictor as module
from bertcompress.inference.answers import Answers
from bertcompress.inference.best_settings import RuntimeSettings, save_runtime_settings
from bertcompress.inference.predictor import Predictor, examples_of
from bertcompress.inference.streams import Streams, open_entry_streams
from bertcompress.machine.environment import available_threads, cpu_model
from bertcompress.runtimes.catalog import Entry

Opened = list[tuple[int, int]]

TEXTS = tuple(f"the film is {'not ' * (number % 5)}good {number}" for number in range(30))
EXAMPLES = tuple(TextExample(str(number), text) for number, text in enumerate(TEXTS))


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
    def recorded(
        entry: Entry, folder: Path, *, streams: int, threads: int, task: str | None = None
    ) -> Iterator[Streams]:
        seen.append((streams, threads))
        with open_entry_streams(
            entry, folder, streams=streams, threads=threads, task=task
        ) as running:
            yield running

    monkeypatch.setattr(module, "open_entry_streams", recorded)
    return seen


def answers(folder: Path, count: int, *, threads: int | None = None) -> tuple[Answers, list[str]]:
    told: list[str] = []
    with Predictor.open(folder, threads=threads, note=told.append) as predictor:
        return predictor.predict(EXAMPLES[:count]), told


def test_the_saved_settings_are_used_and_the_answers_are_the_same(
    folder: Path, settings: RuntimeSettings, opened: Opened
) -> None:
    plain, _ = answers(folder, 30)
    save_runtime_settings(folder, settings)
    tuned, told = answers(folder, 30)

    assert opened == [(1, available_threads()), (3, 1)]
    assert told == []
    assert [p.answer for p in tuned.predictions] == [p.answer for p in plain.predictions]
    for one, two in zip(tuned.logits, plain.logits, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_a_single_batch_gets_one_runtime_with_the_threads_of_single_texts(
    folder: Path, settings: RuntimeSettings, opened: Opened
) -> None:
    save_runtime_settings(folder, settings)

    answers(folder, 4)
    answers(folder, 1)
    answers(folder, 7)

    assert opened == [(1, 2), (1, 2), (2, 1)]


def test_threads_that_were_typed_come_first(
    folder: Path, settings: RuntimeSettings, opened: Opened
) -> None:
    save_runtime_settings(folder, settings)

    _, told = answers(folder, 30, threads=1)

    assert opened == [(1, 1)]
    assert told == []


def test_settings_of_another_machine_are_passed_over_with_a_note(
    folder: Path, settings: RuntimeSettings, opened: Opened
) -> None:
    save_runtime_settings(folder, replace(settings, cpu_model="Another CPU"))

    _, told = answers(folder, 30)

    assert opened == [(1, available_threads())]
    assert len(told) == 1
    assert told[0].startswith("its settings were found best on Another CPU and are not used on")


def test_settings_of_another_runtime_are_not_these(
    folder: Path, settings: RuntimeSettings, opened: Opened
) -> None:
    save_runtime_settings(folder, replace(settings, runtime="openvino-cpu"))

    _, told = answers(folder, 30)

    assert opened == [(1, available_threads())]
    assert told == []


def test_no_threads_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="threads must be 1 or more, got 0"):
        answers(folder, 2, threads=0)


def test_what_was_opened_is_kept_until_more_streams_have_work(
    folder: Path, settings: RuntimeSettings, opened: Opened
) -> None:
    save_runtime_settings(folder, settings)
    with Predictor.open(folder) as predictor:
        alone = [predictor.predict(EXAMPLES[at : at + 1]).predictions[0] for at in range(3)]
        many = predictor.predict(EXAMPLES[:30]).predictions
        again = predictor.predict(EXAMPLES[:2]).predictions

    assert opened == [(1, 2), (3, 1)]
    wanted = [one.answer for one in many[:3]]
    assert [one.answer for one in alone] == wanted
    assert [one.answer for one in again] == wanted[:2]


def test_encode_run_and_decode_are_predict(folder: Path) -> None:
    examples = EXAMPLES[:5]
    with Predictor.open(folder, threads=1) as predictor:
        whole = predictor.predict(examples)
        features = predictor.encode(examples)
        apart = predictor.decode(predictor.run(features), features, examples)

    assert apart.predictions == whole.predictions


def test_texts_are_answered_as_examples_are(folder: Path) -> None:
    with Predictor.open(folder, threads=1) as predictor:
        typed = predictor.predict(TEXTS).predictions
        read = predictor.predict(EXAMPLES).predictions

    assert [one.answer for one in typed] == [one.answer for one in read]


def test_texts_become_the_examples_of_a_task() -> None:
    given: tuple[Example, ...] = (TextExample("mine", "good film"),)

    assert examples_of("text-classification", given) == given
    assert examples_of("feature-extraction", ["a", "b"], pair="c") == (
        TextExample("text:1", "a", "c"),
        TextExample("text:2", "b", "c"),
    )
    assert examples_of("token-classification", ["Anna lives"]) == (
        UnsplitExample("text:1", ("Anna", "lives"), text="Anna lives"),
    )
    assert examples_of("question-answering", ["who?"], pair="Anna") == (
        QuestionExample("text:1", "who?", "Anna"),
    )
    with pytest.raises(UsageError, match="a question needs a context; type --pair"):
        examples_of("question-answering", ["who?"])


def test_a_limit_beyond_the_models_is_refused(folder: Path) -> None:
    assert Predictor.open(folder).max_length == 128
    assert Predictor.open(folder, max_length=20).max_length == 20
    with pytest.raises(
        UsageError, match=r"max_length must be up to 128, which the model has .*got 129"
    ):
        Predictor.open(folder, max_length=129)


def test_a_graph_that_was_altered_is_refused_before_it_is_run(folder: Path) -> None:
    path = folder / ONNX_NAME
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    with pytest.raises(LoadError, match=r"model\.onnx is not the file that was written"):
        Predictor.open(folder)


def test_the_weights_of_a_checkpoint_are_read_once(
    tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, read = save(tiny_checkpoint(), tmp_path / "checkpoint"), []

    def counted(*arguments: Any) -> Any:
        read.append(arguments[0])
        return read_model(*arguments)

    monkeypatch.setattr("bertcompress.bert.loading.load.read_model", counted)
    with Predictor.open(folder, threads=1) as predictor:
        assert read == []
        predictor.predict(["a good film"])
        predictor.predict(["a bad film"])

    assert read == [folder]


IN_A_FRESH_PROCESS = """
import builtins, json, onnxruntime, sys
from pathlib import Path

loaded, session = [], onnxruntime.InferenceSession

def counted(source, *arguments, **options):
    loaded.append(source)
    return session(source, *arguments, **options)

onnxruntime.InferenceSession = counted
from bertcompress_cli.app import run_command

code = run_command(["predict", sys.argv[1], "a good film"])
heavy = [name for name in ("torch", "transformers", "onnx", "scipy") if name in sys.modules]
print(json.dumps([code, heavy, len(loaded)]))
"""


def test_a_graph_is_answered_without_torch_and_read_by_its_runtime_alone(folder: Path) -> None:
    import os

    done = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BERTCOMPRESS_LAZY": "1"},
    )

    answer, facts = done.stdout.splitlines()
    assert json.loads(answer)["label"] in ("negative", "positive")
    assert json.loads(facts) == [0, [], 1]
