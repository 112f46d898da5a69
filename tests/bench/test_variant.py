"""What is measured and on what: refused before anything is measured, if need be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import Step
from bertcompress.artifacts.manifest import write_manifest
from bertcompress.bench.names import AGAIN, PEER_RUNTIME
from bertcompress.bench.variant import Subject, Variant, check, subject_of, variant_of
from bertcompress.errors import LoadError, UsageError
from bertcompress.examples import Dataset, TextExample
from bertcompress.inference.predictor import Predictor
from bertcompress.report.benchmark import bench
from fixtures.bench_runs import two_fakes
from fixtures.embeddings import pooling


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


def test_a_variant_that_another_library_made_is_a_peer(tmp_path: Path) -> None:
    assert Variant("other", tmp_path, PEER_RUNTIME).is_peer
    assert not Variant("ours", tmp_path).is_peer


def test_a_subject_holds_the_examples_as_the_model_reads_them(model: Path) -> None:
    examples = tuple(TextExample(f"made:{n}", "good film " * n, label="positive") for n in (1, 3))
    opened = Predictor.open(model)

    subject = subject_of(opened, Dataset(examples, "made", "test"))

    assert subject.task is opened.task
    assert [feature.length for feature in subject.features] == [4, 8]  # two words and two marks
    assert subject.tokenize is not None
    [alone] = subject.tokenize(examples[1])  # type: ignore[misc]  # what it returns is only timed
    assert alone.length == 8


@pytest.mark.parametrize("mode", ["cls", "max"])
def test_each_variant_answers_by_its_own_files(
    mode: str, embedding_folder: Callable[..., Path]
) -> None:
    mean, other = (
        Predictor.open(embedding_folder(pooling(each), name=each)) for each in ("mean", mode)
    )
    subject = subject_of(mean, Dataset((TextExample("made:1", "good film"),), "made", "test"))

    made = variant_of("other", other, subject)

    assert made.reads is not None
    assert made.reads.task == other.task != subject.task
    assert made.reads.features is subject.features  # the same tokens are timed once


def test_a_variant_of_another_task_is_refused(tiny_folder: Callable[..., Path]) -> None:
    first, other = map(Predictor.open, (tiny_folder(), tiny_folder(task="feature-extraction")))
    examples = (TextExample("made:1", "good film", label="positive"),)
    subject = subject_of(first, Dataset(examples, "made", "test"))

    with pytest.raises(UsageError, match="other does feature-extraction and the first model text-"):
        variant_of("other", other, subject)
