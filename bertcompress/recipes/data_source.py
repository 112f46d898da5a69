"""Where examples come from, and which of them a step gets.

Importance, calibration and fine-tuning take the training split, accuracy and timing the test
split, so that nothing is measured on what it was made from. A single file is partitioned for that
(80/10/10, seeded), unless its own name says which split it is (``train.tsv``, ``test.csv``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from bertcompress.codec import decode
from bertcompress.errors import DataError, UsageError

if TYPE_CHECKING:
    from bertcompress.examples import Dataset, Example
    from bertcompress.tasks.base import LabelKind

Role = Literal["train", "validation", "test"]
_PATHS = ("source", "train", "validation", "test")
_COLUMNS = ("text", "text_pair", "label", "question", "context", "answers", "label_separator")


@dataclass(frozen=True)
class DataSource:
    """The data of a recipe or of one command line; names are the recipe's keys.

    Attributes:
        source: A file, folder or hub name that has all splits.
        train: Where the training examples are, if apart.
        validation: Where the validation examples are, if apart.
        test: Where the test examples are, if apart.
        split: The one split to take, whatever it is for.
        limit: Draw so many examples of each split.
        text: Column of the text.
        text_pair: Column of the second text.
        label: Column of the label.
        question: Column of the question.
        context: Column of the context.
        answers: Column of the answers.
        label_separator: What separates several labels in one text.
        label_kind: ``class``, ``multi`` or ``number``, where the task does not say it.
        header: Whether the first line of a CSV or TSV names its columns; else they are 1, 2, ….
        label_map: Renames labels.
    """

    source: str | None = None
    train: str | None = None
    validation: str | None = None
    test: str | None = None
    split: str | None = None
    limit: int | None = None
    text: str | None = None
    text_pair: str | None = None
    label: str | None = None
    question: str | None = None
    context: str | None = None
    answers: str | None = None
    label_separator: str | None = None
    label_kind: str | None = None
    header: bool = True
    label_map: Mapping[str, str] = field(default_factory=dict)

    def load(
        self,
        role: Role,
        *,
        task: str,
        label_kind: str = "auto",
        seed: int = 0,
        require_labels: bool = True,
        whole: bool = False,
        fits: Callable[[Sequence[Example]], None] | None = None,
    ) -> Dataset:
        """Reads the examples of one role.

        Args:
            role: What they are for.
            task: The task's name.
            label_kind: What the task's labels are, unless `self.label_kind` says it.
            seed: For the sample and for a partition.
            require_labels: Whether an example without a label is an error.
            whole: Whether a single file that is no named split is taken whole for ``test``.
            fits: Fails where labels are not the model's. Where none are required, such labels are
                passed over, which is noted.

        Raises:
            UsageError: There is no data for this role.
            DataError: It can't be read.
        """
        found = self._loaded(
            role, task, label_kind, seed, require_labels=require_labels, whole=whole
        )
        if require_labels or fits is None:
            return found
        from bertcompress.data.labels import without_labels

        try:
            fits(found.examples)
        except DataError as error:
            bare = without_labels(found.examples)
            fits(bare)  # what else is wrong
            note = f"labels were passed over, which nothing here needs: {error}"
            return replace(found, examples=bare, notes=(*found.notes, note))
        return found

    def _loaded(
        self,
        role: Role,
        task: str,
        label_kind: str,
        seed: int,
        *,
        require_labels: bool,
        whole: bool,
    ) -> Dataset:
        from bertcompress.data import Columns, load_dataset

        source = getattr(self, role) or self.source
        if source is None:
            raise UsageError(f"there is no {role} data; give it with --data, or data: in a recipe")

        def read(split: str | None) -> Dataset:
            return load_dataset(
                source,
                task=task,
                split=split,
                columns=Columns(**{name: getattr(self, name) for name in _COLUMNS}),
                limit=self.limit,
                seed=seed,
                label_map=self.label_map or None,
                label_kind=cast("LabelKind", self.label_kind or label_kind),  # checked there
                require_labels=require_labels,
                header=self.header,
            )

        if self.split is not None:
            return read(self.split)
        alone = getattr(self, role) is not None or is_named_for(source, role)
        if Path(source).is_file() and (alone or (whole and role == "test")):
            return read(None)
        if role != "test":
            return read(role)
        dataset = read(None)
        if alone or whole or dataset.split not in ("all", "train"):
            return dataset
        return read("test" if dataset.split == "all" else "validation")  # not what is trained on

    def over(self, default: DataSource | None) -> DataSource | None:
        """Returns this where it says where examples come from, else the default with what it says.

        Raises:
            UsageError: If something is said about data and there is none.
        """
        said = {setting.name: getattr(self, setting.name) for setting in fields(self)}
        given = {name: value for name, value in said.items() if not _is_unsaid(value)}
        if self.source is not None:
            return self
        if default is not None:
            return replace(default, **given)
        if given:
            raise UsageError("an option about the data was given without --data; type --data DATA")
        return None

    def to_plain(self, folder: Path) -> str | dict[str, object]:
        """Returns the recipe's ``data``, a path or keys, with paths as seen from `folder`."""
        plain: dict[str, object] = {}
        for setting in fields(self):
            value = getattr(self, setting.name)
            if _is_unsaid(value):
                continue
            is_path = setting.name in _PATHS
            plain[setting.name] = portable(value, folder) if is_path else value
        if set(plain) == {"source"}:
            return str(plain["source"])
        return plain


def _is_unsaid(value: object) -> bool:
    """Says whether a field has its default: a header is there unless it is said that it is not."""
    return value is None or value == {} or value is True


def source_from_plain(value: object, folder: Path, where: str) -> DataSource:
    """Makes a `DataSource` of a recipe's ``data``: a path, or a mapping with its keys.

    Raises:
        UsageError: It is something else, or a key is not known.
    """
    if isinstance(value, str):
        return DataSource(source=resolved(value, folder))
    if not isinstance(value, Mapping):
        allowed = ", ".join(setting.name for setting in fields(DataSource))
        raise UsageError(f"{where} must be a path or a mapping with {allowed}")
    plain = {
        key: resolved(item, folder) if key in _PATHS and isinstance(item, str) else item
        for key, item in value.items()
    }
    return decode(DataSource, {**plain, **_label_map(value.get("label_map"), where)}, where)


def resolved(name: str, folder: Path) -> str:
    """Returns a path as seen from here that was written relative to `folder`; hub names stay.

    Environment variables (``${MODELS}/my-bert``) are filled in; one that is not set is an error.
    """
    name = os.path.expandvars(name)
    if "$" in name:
        raise UsageError(f"{name} names an environment variable that is not set; set it first")
    path = Path(name).expanduser()
    if name.startswith("hf:") or path.is_absolute():
        return str(path) if path.is_absolute() else name
    here = folder / path
    if here.exists() or name.startswith(".") or path.suffix:
        return os.path.relpath(here)
    return name


def portable(name: str, folder: Path) -> str:
    """Returns a path as seen from `folder`; absolute paths and hub names stay as they are."""
    path = Path(name)
    if path.is_absolute() or not path.exists():
        return name
    return os.path.relpath(path, folder)


def is_named_for(source: str, role: str) -> bool:
    """Says whether a file's own name says that it is this split."""
    from bertcompress.data.split_source import split_named

    return Path(source).is_file() and split_named(Path(source).stem) == role


def _label_map(value: object, where: str) -> dict[str, object]:
    """Returns the labels to rename as texts: YAML reads ``0`` as a number."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}.label_map must be a mapping old: new, got {value!r}")
    return {"label_map": {str(old): str(new) for old, new in value.items()}}
