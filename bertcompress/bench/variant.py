"""What is measured, and on what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bertcompress.artifacts.artifact_files import manifest_of
from bertcompress.artifacts.manifest import kind_of
from bertcompress.artifacts.model_config import class_of_task
from bertcompress.bench.names import AGAIN, PEER_RUNTIME
from bertcompress.errors import UsageError
from bertcompress.examples import Dataset, Example
from bertcompress.inference.predictor import Predictor
from bertcompress.passes.prune.removed import explanation_of
from bertcompress.tasks.base import Feature, Task


@dataclass(frozen=True)
class Subject:
    """What all variants are measured on.

    Attributes:
        dataset: The examples.
        task: Their task.
        features: The examples as tokens: `task.encode(tokenizer, dataset.examples)`.
        pad_token_id: The tokenizer's padding token.
        tokenize: Turns one example into tokens, to be timed apart from the models; None leaves
            that out. Most often ``lambda one: task.encode(tokenizer, [one], max_length=…)``.
    """

    dataset: Dataset
    task: Task
    features: Sequence[Feature]
    pad_token_id: int = 0
    tokenize: Callable[[Example], object] | None = None


@dataclass(frozen=True)
class Variant:
    """An artifact to measure.

    Attributes:
        name: What reports call it; unique in a run.
        folder: Its artifact folder.
        runtime: What runs it: ``auto``, ``ort-cpu``, ``torch-cpu``, or ``peer``.
        reads: What all are measured on, as this one reads it and answers; None for as the subject
            does: a peer is made of the same model.
    """

    name: str
    folder: Path
    runtime: str = "auto"
    reads: Subject | None = None

    @property
    def is_peer(self) -> bool:
        """Whether another library made it, to be compared with."""
        return self.runtime == PEER_RUNTIME


def variant_of(name: str, model: Predictor, subject: Subject) -> Variant:
    """Returns an opened model as something to measure.

    Its own files say how it reads texts (a pruned vocabulary has other numbers) and what its
    outputs mean (pooling, activation, the order of labels).

    Raises:
        UsageError: It does not say its task: the measuring processes open it by its files; or that
            is another than the subject's.
    """
    if model.task.name != subject.task.name:
        raise UsageError(
            f"{name} does {model.task.name} and the first model {subject.task.name}; measure "
            "models of one task"
        )
    own = subject_of(model, subject.dataset)
    if _same_tokens(own.features, subject.features):
        own = replace(own, features=subject.features)
    return Variant(name, model.folder, model.runtime, own)


def subject_of(model: Predictor, dataset: Dataset) -> Subject:
    """Returns a data set as a model reads it; raises what `variant_of` raises."""
    _check_says_task(model)
    features = model.encode(dataset.examples)
    model.tell_cut(features)
    return Subject(
        dataset=dataset,
        task=model.task,
        features=features,
        pad_token_id=model.pad_token_id,
        tokenize=lambda example: model.encode([example]),
    )


def _same_tokens(own: Sequence[Feature], others: Sequence[Feature]) -> bool:
    return len(own) == len(others) and all(
        np.array_equal(one.inputs["input_ids"], other.inputs["input_ids"])
        for one, other in zip(own, others, strict=True)
    )


def _check_says_task(model: Predictor) -> None:
    if model.says_task:
        return
    remedy = (
        f"type: bertcompress export {model.folder} --task {model.task.name} -o OUT, and measure OUT"
    )
    if kind_of(model.folder) != "checkpoint":
        head = class_of_task(model.task.name)
        remedy = f'write "architectures": ["{head}"] into its config.json'
    raise UsageError(
        f"{model.folder} does not say that its task is {model.task.name}, and what measures it "
        f"reads its files alone; {remedy}"
    )


def check(variants: Sequence[Variant], subject: Subject) -> None:
    """Fails before anything is measured.

    Raises:
        UsageError: If there is no variant or no example, or two variants share a name.
        LoadError: If a variant's folder is not there or is damaged.
    """
    names = [variant.name for variant in variants]
    if not names:
        raise UsageError("a benchmark needs at least one artifact folder")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two variants are called {twice[0]!r}; give each a name of its own")
    if AGAIN in names:
        raise UsageError(f"no variant may be called {AGAIN!r}")
    if not len(subject.dataset) or not subject.features:
        raise UsageError("a benchmark needs at least one example")
    for variant in variants:
        manifest = manifest_of(variant.folder)
        explanation_of(manifest.history if manifest else ())
