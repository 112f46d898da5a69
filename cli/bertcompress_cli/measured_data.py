"""A model folder opened for answering: its task, its tokenizer, its runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.artifacts.artifact import Artifact
from bertcompress.bench.variant import Subject
from bertcompress.bert.families import cut_length, pad_token_of
from bertcompress.bert.loading.load import load
from bertcompress.bert.loading.locate import locate
from bertcompress.errors import UsageError
from bertcompress.examples import Dataset, Example
from bertcompress.inference.answers import Answers
from bertcompress.inference.predictor import answer_tuned, runtime_here
from bertcompress.progress import Progress, silent
from bertcompress.recipes.data_source import DataSource
from bertcompress.tasks import Feature, Task, make_task
from bertcompress_cli.output import note, notes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Opened:
    """A model folder, read.

    Attributes:
        folder: The folder, also of a model that was named by its hub name.
        task: Its task.
        tokenizer: Its tokenizer.
        max_length: Where longer texts are cut, tokens.
        runtime: The runtime that deploys it.
    """

    folder: Path
    task: Task
    tokenizer: PreTrainedTokenizerFast
    max_length: int
    runtime: str

    def encode(self, examples: Sequence[Example]) -> list[Feature]:
        """Returns the examples as tokens."""
        return self.task.encode(self.tokenizer, examples, max_length=self.max_length)

    def answer(
        self,
        examples: Sequence[Example],
        *,
        threads: int | None = None,
        progress: Progress = silent,
    ) -> Answers:
        """Answers the examples through the runtime, at its best settings or with `threads`."""
        return answer_tuned(
            self.folder,
            self.task,
            self.encode(examples),
            examples,
            runtime=self.runtime,
            threads=threads,
            pad_token_id=self.pad_token_id,
            note=note,
            progress=progress,
        )

    @property
    def pad_token_id(self) -> int:
        """The tokenizer's padding token."""
        return pad_token_of(self.tokenizer)

    def subject(self, dataset: Dataset) -> Subject:
        """Returns a data set as what a benchmark measures on."""
        return Subject(
            dataset=dataset,
            task=self.task,
            features=self.encode(dataset.examples),
            pad_token_id=self.pad_token_id,
            tokenize=lambda one: self.encode([one]),
        )


def measured_data(
    source: DataSource, model: Opened, *, seed: int = 0, whole: bool = False
) -> Dataset:
    """Reads what a model is measured on, and says what was guessed.

    Args:
        source: Where it comes from.
        model: Says what the data must be.
        seed: For samples and partitions.
        whole: Whether a single file is taken whole; else its test part.
    """
    data = source.load(
        "test",
        task=model.task.name,
        label_kind=model.task.label_kind,
        seed=seed,
        require_labels=model.task.name != "feature-extraction",
        whole=whole,
    )
    notes(data.notes)
    if data.split == "all" and source.split is None:
        note(f"{data.source} is taken whole; --split test is what prune and finetune leave out")
    return data


def open_model(
    model: str | Path,
    *,
    task: str | None = None,
    runtime: str = "auto",
    max_length: int | None = None,
) -> Opened:
    """Reads a model, and finds the runtime that deploys it.

    Raises:
        LoadError: It can't be loaded.
        MissingDependencyError: Its runtime is not installed.
    """
    folder = locate(model)
    chosen = runtime_here(folder, runtime, note=note)
    return opened(load(folder, task=task), folder, runtime=chosen, max_length=max_length)


def opened(
    artifact: Artifact, folder: Path, *, runtime: str = "auto", max_length: int | None = None
) -> Opened:
    """Returns an artifact that lies in `folder`, opened."""
    limit = cut_length(artifact.config)
    if max_length is not None and max_length > limit:
        raise UsageError(f"max-length must be at most the model's {limit}, got {max_length}")
    return Opened(
        folder,
        make_task(artifact.task, artifact.config, folder=folder),
        artifact.tokenizer,
        max_length or limit,
        runtime,
    )
