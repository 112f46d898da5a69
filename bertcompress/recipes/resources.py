"""What a run gives its passes: a recipe's examples, each split read when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.data.partition import hold_out, sample
from bertcompress.errors import UsageError
from bertcompress.examples import Dataset, Example
from bertcompress.inference.deployed import task_for
from bertcompress.passes.context import Context
from bertcompress.progress import Note, Progress, logged, once, silent, unsaid
from bertcompress.recipes.data_source import DataSource, Role, is_named_for
from bertcompress.runtimes.tensorrt.library import machine_name
from bertcompress_calibration import calibrate_ranges

if TYPE_CHECKING:
    from bertcompress.artifacts.artifact import Artifact, Checkpoint


class Splits:
    """The examples of a data source, by what they are for.

    Args:
        data: Where they come from; None where there are none.
        task: The task's name.
        label_kind: What its labels are.
        seed: For samples.
        fits: Fails where labels are not the model's, as in `DataSource.load`.
        note: Is told what was guessed, passed over or converted while reading, each once.
    """

    def __init__(
        self,
        data: DataSource | None,
        *,
        task: str,
        label_kind: str = "auto",
        seed: int = 0,
        note: Note = unsaid,
        fits: Callable[[Sequence[Example]], None] | None = None,
    ) -> None:
        self.data = data
        self._tell, self._fits = once(note), fits
        self._train_read: dict[bool, Dataset] = {}
        self._task, self._label_kind, self._seed = task, label_kind, seed

    @property
    def examples(self) -> tuple[Example, ...]:
        """What is fitted to, with labels or without; none where there is no data."""
        return () if self.data is None else self._unlabelled[0]

    @property
    def split(self) -> str | None:
        """The split that the examples are of."""
        return None if self.data is None else self._train_data(require_labels=False).split

    @property
    def source(self) -> str | None:
        """Where the training examples are, as it was typed."""
        return None if self.data is None else self.data.train or self.data.source

    @property
    def train(self) -> tuple[Example, ...]:
        """Labelled training examples."""
        return self._labelled[0]

    @property
    def validation(self) -> tuple[Example, ...]:
        """Labelled examples that nothing is trained on or fitted to."""
        return self._labelled[1]

    @property
    def held_out(self) -> tuple[Example, ...]:
        """The same, with or without labels."""
        return () if self.data is None else self._unlabelled[1]

    @cached_property
    def test(self) -> Dataset:
        """The labelled test examples."""
        return self._load("test")

    @cached_property
    def _unlabelled(self) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
        return self._parts(require_labels=False)

    @cached_property
    def _labelled(self) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
        return self._parts(require_labels=True)

    def _parts(self, *, require_labels: bool) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
        """Returns training and validation examples; one text in ten where these are not apart."""
        train = self._train_data(require_labels=require_labels).examples
        if self._has_validation:
            return train, self._load("validation", require_labels=require_labels).examples
        fitted, held_out = hold_out(train)
        return self._limited(fitted), self._limited(held_out)

    def _limited(self, examples: tuple[Example, ...]) -> tuple[Example, ...]:
        """Draws after what is held out is known, on which the drawing then has no say."""
        limit = None if self.data is None else self.data.limit
        if limit is None or limit >= len(examples):
            return examples
        return sample(examples, limit, seed=self._seed)

    def _train_data(self, *, require_labels: bool) -> Dataset:
        if require_labels not in self._train_read:
            self._train_read[require_labels] = self._load(
                "train", require_labels=require_labels, limited=self._has_validation
            )
        return self._train_read[require_labels]

    @property
    def _has_validation(self) -> bool:
        if self.data is None or self.data.split is not None:
            return False
        if self.data.validation is not None:
            return True
        source = self.data.source
        return not (source is None or self.data.train is not None or is_named_for(source, "train"))

    def _load(self, role: Role, *, require_labels: bool = True, limited: bool = True) -> Dataset:
        if self.data is None:
            raise UsageError(f"this needs {role} data; give it with --data, or data: in a recipe")
        data = self.data if limited else replace(self.data, limit=None)
        dataset = data.load(
            role,
            task=self._task,
            label_kind=self._label_kind,
            seed=self._seed,
            require_labels=require_labels,
            fits=self._fits,
        )
        for sentence in dataset.notes:
            self._tell(sentence)
        return dataset


def splits_for(
    artifact: Artifact, data: DataSource | None, *, seed: int = 0, note: Note = logged
) -> Splits:
    """Returns a data source as an artifact's task takes it, see `Splits`."""
    task = task_for(artifact)
    return Splits(
        data,
        task=artifact.task,
        label_kind=task.label_kind,
        seed=seed,
        note=note,
        fits=task.check,
    )


class RecipeContext(Context):
    """What passes are given by a recipe, by the command, or by a few lines of Python.

    It calibrates, and knows the machine that engines are built for.

    Args:
        data: Examples, with labels or without, or where they are read from.
        train: Labelled examples to learn from; those of `data` if none are given.
        validation: Labelled examples that choose the best epoch; the same.
        held_out: What answers are judged on; the same.
        original: Returns the model before pruning; a pipeline knows it.
        state: Where long work keeps what it needs to go on; None keeps nothing.
        progress: Progress callback.
        note: Is told what the user should know while a pass is at work.
    """

    def __init__(
        self,
        data: Splits | Dataset | Sequence[Example] = (),
        *,
        train: Sequence[Example] = (),
        validation: Sequence[Example] = (),
        held_out: Sequence[Example] = (),
        original: Callable[[], Checkpoint] | None = None,
        state: Path | None = None,
        progress: Progress = silent,
        note: Note = unsaid,
    ) -> None:
        super().__init__(
            () if isinstance(data, Splits) else data,
            train=train,
            validation=validation,
            held_out=held_out,
            calibrate=calibrate_ranges,
            original=original,
            state=state,
            progress=progress,
            note=note,
        )
        self._splits = data if isinstance(data, Splits) else Splits(None, task="")

    @property
    def examples(self) -> tuple[Example, ...]:
        """What is measured and fitted on, with labels or without."""
        return self._examples or self._splits.examples

    @property
    def split(self) -> str | None:
        """The split that the examples are of, where it is known."""
        return self._split or self._splits.split

    @property
    def source(self) -> str | None:
        """What was typed as the examples' source, where it is known."""
        return self._source or self._splits.source

    @property
    def train(self) -> tuple[Example, ...]:
        """Labelled examples to learn from."""
        if self._train or self._splits.data is None:
            return self._train
        return self._splits.train

    @property
    def validation(self) -> tuple[Example, ...]:
        """Labelled examples that choose the best epoch; may be none."""
        if self._validation or self._splits.data is None:
            return self._validation
        return self._splits.validation

    @property
    def has_examples(self) -> bool:
        """Whether there are examples; asking reads none."""
        return super().has_examples or self._splits.data is not None

    @property
    def has_train(self) -> bool:
        """Whether there are labelled examples to learn from; asking reads none."""
        return super().has_train or self._splits.data is not None

    @property
    def machine(self) -> str:
        """What engines are built for."""
        return machine_name()

    @property
    def _apart(self) -> tuple[Example, ...]:
        """What is held out and not of the examples; may be none."""
        return self._held_out if self._examples else self._held_out or self._splits.held_out
