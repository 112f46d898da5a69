"""Settings of passes: what a finished step is known by, and checks that several passes share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from bertcompress.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Part = TypeVar("Part", bound="DataclassInstance")

Need = Literal["examples", "labels", "held out", "machine"]
"""What of a context changes a pass's result: part of what a finished step is known by."""

PATH: Mapping[str, bool] = {"path": True}
"""Metadata of a field that is a path: where a file lies changes nothing about the result."""


def settings_of(pass_: object) -> dict[str, object]:
    """Returns a pass's fields as JSON values.

    Two passes with equal settings do the same to the same artifact in the same context, so this is
    also what a finished step is recognised by. A path (`PATH`) is left out.
    """
    if not is_dataclass(pass_):
        raise TypeError(f"a pass is a dataclass, got {type(pass_).__name__}")
    return {
        field.name: _as_json(getattr(pass_, field.name))
        for field in fields(pass_)
        if field.metadata != PATH
    }


def part_of(pass_: object, kind: type[Part]) -> Part:
    """Returns a part of a pass's settings: a dataclass whose fields the pass has too, by name."""
    return kind(**{field.name: getattr(pass_, field.name) for field in fields(kind)})


def check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Fails with a UsageError unless the value is one of those allowed."""
    if value not in allowed:
        raise UsageError(
            f"{name} must be one of {', '.join(allowed)}, got {value!r}"
            + did_you_mean(str(value), allowed)
        )


def check_counts(**counts: int) -> None:
    """Fails with a UsageError unless every number is 1 or more."""
    for name, count in counts.items():
        if count < 1:
            raise UsageError(f"{name} must be 1 or more, got {count}")


def check_optional_counts(**counts: int | None) -> None:
    """Fails with a UsageError unless every number that is given is 1 or more."""
    for name, count in counts.items():
        if count is not None and count < 1:
            raise UsageError(f"{name} must be 1 or more, got {count}; leave it out for the default")


def _as_json(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return settings_of(value)
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_json(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
