"""What a run gives its passes: a recipe's examples, each split read when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.errors import UsageError
from bertcompress.examples import Dataset, Example
from bertcompress.passes.context import Context
from bertcompress.progress import Progress, silent
from bertcompress.recipes.data_source import DataSource, Role, is_named_for
from bertcompress.runtimes.tensorrt.library import machine_name
from bertcompress_calibration import calibrate_ranges

if TYPE_CHECKING:
    from bertcompress.artifacts.artifact import Checkpoint


class Splits:
    """The examples of a data source, by what they are for.

    Args:
        data: Where they come from; None where there are none.
        task: The task's name.
        label_kind: What its labels are.
        seed: For samples and partitions.
    """

    def __init__(
        self, data: DataSource | None, *, task: str, label_kind: str = "auto", seed: int = 0
    ) -> None:
        self.data = data
        self._task, self._label_kind, self._seed = task, label_kind, seed

    @cached_property
    def unlabelled(self) -> Dataset | None:
        """Training data, with or without labels; None where there is no data."""
        return None if self.data is None else self._load("train", require_labels=False)

    @property
    def examples(self) -> tuple[Example, ...]:
        """Its examples; none where there is no data."""
        return () if self.unlabelled is None else self.unlabelled.examples

    @property
    def split(self) -> str | None:
        """The split that they are of."""
        return None if self.unlabelled is None else self.unlabelled.split

    @cached_property
    def train(self) -> tuple[Example, ...]:
        """Labelled training examples."""
        return self._load("train").examples

    @cached_property
    def validation(self) -> tuple[Example, ...]:
        """Labelled validation examples; none where the data is one split only."""
        return self._load("validation").examples if self._has_validation else ()

    @cached_property
    def held_out(self) -> tuple[Example, ...]:
        """Validation examples, with or without labels; none where the data is one split only."""
        if not self._has_validation:
            return ()
        return self._load("validation", require_labels=False).examples

    @cached_property
    def test(self) -> Dataset:
        """The labelled test examples."""
        return self._load("test")

    @property
    def _has_validation(self) -> bool:
        if self.data is None or self.data.split is not None:
            return False
        if self.data.validation is not None:
            return True
        source = self.data.source
        return not (source is None or self.data.train is not None or is_named_for(source, "train"))

    def _load(self, role: Role, *, require_labels: bool = True) -> Dataset:
        if self.data is None:
            raise UsageError(f"this needs {role} data; give it with --data, or data: in a recipe")
        return self.data.load(
            role,
            task=self._task,
            label_kind=self._label_kind,
            seed=self._seed,
            require_labels=require_labels,
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
