"""The examples that a recipe's steps take, each split read once, when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bertcompress.errors import UsageError
from bertcompress.recipes.data_source import DataSource, Role, is_named_for

if TYPE_CHECKING:
    from bertcompress.examples import Dataset, Example


HELD_OUT = 4
"""Of every so many examples one is held out, where there is no validation split."""


class Material:
    """The examples that a recipe's steps take, each split read once, when it is asked for.

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
        self.task = task
        self._label_kind = label_kind
        self._seed = seed

    @cached_property
    def unlabelled(self) -> Dataset | None:
        """Training data, with or without labels; None where there is no data."""
        return None if self.data is None else self._load("train", require_labels=False)

    @cached_property
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

    @property
    def _has_validation(self) -> bool:
        if self.data is None or self.data.split is not None:
            return False
        if self.data.validation is not None:
            return True
        source = self.data.source
        return not (source is None or self.data.train is not None or is_named_for(source, "train"))

    @cached_property
    def calibration(self) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
        """What ranges are found on, and what is held out to judge by, with labels or without.

        The validation split is held out, or one part in four of the training split.
        """
        if self._has_validation:
            return self.examples, self._load("validation", require_labels=False).examples
        held_out = self.examples[HELD_OUT - 1 :: HELD_OUT]
        rest = [one for at, one in enumerate(self.examples) if at % HELD_OUT != HELD_OUT - 1]
        return tuple(rest), held_out

    @cached_property
    def test(self) -> Dataset:
        """The labelled test examples."""
        return self._load("test")

    def _load(self, role: Role, *, require_labels: bool = True) -> Dataset:
        if self.data is None:
            raise UsageError(f"this needs {role} data; give it with --data, or data: in a recipe")
        return self.data.load(
            role,
            task=self.task,
            label_kind=self._label_kind,
            seed=self._seed,
            require_labels=require_labels,
        )


class StandIn(Material):
    """Stands for the examples while settings are checked: nothing is read."""

    @cached_property
    def examples(self) -> tuple[Example, ...]:
        """Two examples where there is data: some steps hold a part of them out."""
        from bertcompress.examples import TextExample

        if self.data is None:
            return ()
        return tuple(TextExample(f"stand-in:{at}", "text", label="label") for at in (1, 2))

    @property
    def split(self) -> str | None:
        """The split that was asked for."""
        return None if self.data is None else self.data.split

    @cached_property
    def train(self) -> tuple[Example, ...]:
        """The same."""
        return self.examples

    @cached_property
    def validation(self) -> tuple[Example, ...]:
        """None."""
        return ()

    @cached_property
    def calibration(self) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
        """The same one twice."""
        return self.examples, self.examples
