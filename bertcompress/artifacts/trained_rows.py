"""Which examples a model was trained on, so that nobody judges it by them unawares.

A pass that trains keeps, beside the weights, what it learned from: ``trained_rows.json`` holds the
source, split, number and fingerprint of each step's examples, and 8 bytes for each text
(`bertcompress.data.partition.content_key`), from which no text can be read back. The file travels
with the model through export and quantization.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from bertcompress.codec import from_plain
from bertcompress.data.partition import KEY_BYTES, content_key
from bertcompress.errors import DataError, LoadError
from bertcompress.examples import Example, fingerprint_of
from bertcompress.reading import json_value, read_bounded

TRAINED_ROWS_NAME = "trained_rows.json"
_FORMAT = 1


@dataclass(frozen=True)
class LearnedFrom:
    """What one step learned from.

    Attributes:
        step: The pass, as its class is called.
        source: What the user typed; None where examples were given themselves.
        split: The split that they are of, where it is known.
        count: The number of examples.
        fingerprint: Of their content.
    """

    step: str
    source: str | None
    split: str | None
    count: int
    fingerprint: str


@dataclass(frozen=True)
class TrainedRows:
    """All that a model learned from, with the keys of its texts."""

    steps: tuple[LearnedFrom, ...] = ()
    keys: frozenset[bytes] = frozenset()

    def known_among(self, examples: Iterable[Example]) -> int:
        """Returns how many of the examples have a text that was trained on."""
        if not self.keys:  # most models: no text needs to be hashed
            return 0
        return sum(content_key(example) in self.keys for example in examples)

    @property
    def told(self) -> str:
        """Where they came from, in words."""
        return ", ".join(
            dict.fromkeys(
                f"{step.source or 'examples given in Python'}"
                + (f", {step.split}" if step.split else "")
                for step in self.steps
            )
        )


def with_trained_rows(
    side_files: Mapping[str, bytes],
    examples: Sequence[Example],
    *,
    step: str,
    source: str | None,
    split: str | None,
) -> dict[str, bytes]:
    """Returns an artifact's side files with what one more step learned from."""
    before = trained_rows_in(side_files.get(TRAINED_ROWS_NAME))
    learned = LearnedFrom(step, source, split, len(examples), fingerprint_of(examples))
    keys = sorted({*before.keys, *map(content_key, examples)})
    content = {
        "format": _FORMAT,
        "steps": [asdict(each) for each in (*before.steps, learned)],
        "keys": base64.b64encode(b"".join(keys)).decode("ascii"),
    }
    return {**side_files, TRAINED_ROWS_NAME: (json.dumps(content, indent=1) + "\n").encode()}


def read_trained_rows(folder: Path) -> TrainedRows:
    """Returns what the model in a folder learned from, as far as its folder knows.

    Raises:
        LoadError: The file is damaged.
    """
    path = folder / TRAINED_ROWS_NAME
    if not path.is_file():
        return TrainedRows()
    try:
        return trained_rows_in(read_bounded(path))
    except (OSError, ValueError, KeyError, TypeError, DataError) as error:
        raise LoadError(f"{path} is damaged ({error}); make the artifact again") from error


def trained_rows_in(content: bytes | None) -> TrainedRows:
    """Returns what the file's content says; nothing where there is none."""
    if content is None:
        return TrainedRows()
    plain = cast("Mapping[str, Any]", json_value(content))
    joined = base64.b64decode(plain["keys"])
    keys = (joined[at : at + KEY_BYTES] for at in range(0, len(joined), KEY_BYTES))
    return TrainedRows(
        tuple(from_plain(LearnedFrom, each) for each in plain["steps"]), frozenset(keys)
    )
