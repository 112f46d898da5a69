"""What a safetensors file tells of its tensors without one of them being read.

It starts with eight bytes, the length of the JSON object that follows, which holds each tensor's
type, shape and place. Source: https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bertcompress.errors import LoadError
from bertcompress.reading import json_value, reason

_LARGEST_HEADER = 100_000_000
"""Bytes; the limit of the safetensors library."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a safetensors file: its name, its type (``F32``, ``BF16``), shape and bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int


def stored_tensors(file: Path) -> Iterator[StoredTensor]:
    """Yields what the header of a safetensors file tells of each tensor.

    Raises:
        LoadError: If the file is damaged.
    """
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            text = stream.read(min(length, _LARGEST_HEADER))
        header = cast("Mapping[str, Any]", json_value(text))
        for name, facts in header.items():
            if name != "__metadata__":
                yield _tensor(name, facts)
    except (OSError, ValueError) as error:
        raise LoadError(f"{file} is damaged: {reason(error)}; make the artifact again") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise LoadError(f"{file} is damaged: {error}; make the artifact again") from error


def _tensor(name: str, facts: Mapping[str, Any]) -> StoredTensor:
    shape, (start, end) = tuple(facts["shape"]), facts["data_offsets"]
    if not all(isinstance(number, int) and number >= 0 for number in (*shape, start, end)):
        raise ValueError(f"the shape or the place of {name} is not of numbers")
    return StoredTensor(name, str(facts["dtype"]), shape, end - start if math.prod(shape) else 0)
