"""Plain values (JSON, YAML) to frozen dataclasses and back, from the type annotations alone.

Covers what reports, manifests, recipes and the measuring process's messages are made of:
dataclasses, tuples, string-keyed mappings, scalars, paths, literals and optional fields. Missing
optional fields take their defaults. There are two ways to read, for two kinds of authors:

- `from_plain` reads what this library wrote. Unknown fields are passed over, so that a report of
  a later minor version still opens.
- `decode` reads what people write. Unknown keys are errors that name the nearest known one, and
  ``5e-5``, which YAML takes for a text, is a number.

See docs/adr/0010-codec.md for why no library does this.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import numpy as np

from bertcompress.errors import BertCompressError, DataError, UsageError, did_you_mean

T = TypeVar("T")
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_JSON_TYPES: dict[object, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    Path: "string",
    type(None): "null",
}
_WORDS: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    type(None): "nothing",
}


def to_plain(value: object) -> Json:
    """Returns the value as JSON has it: dataclasses become objects, tuples lists."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(getattr(value, name)) for name in _fields_of(type(value))}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        return cast("Json", value.item())
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def from_plain(kind: type[T], plain: object, place: str | None = None) -> T:
    """Makes a value from the JSON form that `to_plain` gave it.

    Args:
        kind: Its type, mostly a dataclass.
        plain: The JSON value.
        place: What errors call it; the type's name if it is None.

    Raises:
        DataError: If a field is missing or of another type; it names the place.
    """
    return cast("T", _STORED.read(kind, plain, place or kind.__name__))


def decode(kind: type[T], plain: object, place: str, *, key_word: str = "key") -> T:
    """Makes a dataclass from what people wrote, such as the settings of a recipe's step.

    Literals are left to the dataclass, which knows what its choices mean. A part that is a
    dataclass already stays as it is.

    Args:
        kind: The dataclass.
        plain: The YAML value.
        place: What errors call it: ``prune``, ``bench``.
        key_word: What errors call one of its fields.

    Raises:
        UsageError: If a key is unknown or missing, or a value can't be meant.
    """
    return cast("T", _Reading(UsageError, "a mapping", key_word).read(kind, plain, place))


def schema_of(kind: type) -> dict[str, Json]:
    """Returns the JSON Schema (draft 2020-12) of a dataclass, with its parts under ``$defs``."""
    parts: dict[str, Json] = {}
    top = _schema(kind, parts)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "$defs": parts}


class _Field(NamedTuple):
    kind: object
    required: bool


@cache
def _fields_of(kind: type) -> dict[str, _Field]:
    hints = typing.get_type_hints(kind)
    return {
        field.name: _Field(
            hints[field.name], field.default is MISSING and field.default_factory is MISSING
        )
        for field in fields(kind)
        if field.init
    }


@dataclass(frozen=True)
class _Reading:
    """One way to read plain values.

    Attributes:
        error: What is raised.
        mapping: What messages call a JSON object.
        key_word: What messages call a key that is not known; None passes unknown keys over and
            takes scalars as they are.
    """

    error: type[BertCompressError]
    mapping: str
    key_word: str | None = None

    def read(self, kind: object, plain: object, place: str) -> object:
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin in (typing.Union, types.UnionType):
            return self._union(arguments, plain, place)
        if origin is typing.Literal:
            if self.key_word is None and plain not in arguments:
                raise self.error(f"{place} must be one of {arguments}, got {plain!r}")
            return plain
        if origin is tuple:
            return self._tuple(arguments, plain, place)
        if origin is not None and issubclass(origin, Mapping):
            items = self._object(plain, place).items()
            return {key: self.read(arguments[1], item, f"{place}.{key}") for key, item in items}
        if isinstance(kind, type) and is_dataclass(kind):
            return plain if type(plain) is kind else self._dataclass(kind, plain, place)
        return self._scalar(kind, plain, place)

    def _union(self, kinds: Sequence[object], plain: object, place: str) -> object:
        if plain is None and type(None) in kinds:
            return None
        others = [kind for kind in kinds if kind is not type(None)]
        exact = [kind for kind in others if type(plain) is kind or plain in typing.get_args(kind)]
        return self.read((exact or others)[0], plain, place)

    def _tuple(self, kinds: Sequence[object], plain: object, place: str) -> tuple[object, ...]:
        if not isinstance(plain, list | tuple):
            raise self._wrong(place, "a list", plain)
        if kinds[-1] is Ellipsis and all(type(item) is kinds[0] for item in plain):
            return tuple(plain)  # thousands of seconds need no place of their own
        every = [kinds[0]] * len(plain) if kinds[-1] is Ellipsis else kinds
        if len(every) != len(plain):
            raise self.error(f"{place} must be a list of {len(every)}, got {plain!r}")
        return tuple(
            self.read(kind, item, f"{place}[{i}]")
            for i, (kind, item) in enumerate(zip(every, plain, strict=True))
        )

    def _dataclass(self, kind: type, plain: object, place: str) -> object:
        known = _fields_of(kind)
        values = self._object(plain, place, keys=tuple(known))
        for key in values if self.key_word else ():
            if key not in known:
                near = did_you_mean(str(key), known) or f"; it has {', '.join(known)}"
                raise self.error(f"{place} has no {self.key_word} {key!r}{near}")
        for name, field in known.items():
            if field.required and name not in values:
                raise self.error(f"{place}.{name} is missing")
        return kind(
            **{
                name: self.read(field.kind, values[name], f"{place}.{name}")
                for name, field in known.items()
                if name in values
            }
        )

    def _object(
        self, plain: object, place: str, *, keys: Sequence[str] = ()
    ) -> Mapping[str, object]:
        if isinstance(plain, Mapping):
            return plain
        known = f" with {', '.join(keys)}" if keys and self.key_word else ""
        raise self._wrong(place, f"{self.mapping}{known}", plain)

    def _scalar(self, kind: object, plain: object, place: str) -> object:
        if kind is object or type(plain) is kind:
            return plain
        if kind is float and isinstance(plain, int) and not isinstance(plain, bool):
            return float(plain)
        if kind is float and plain is None and self.key_word is None:
            return math.nan  # JSON has no word for it, see `files.json_text`
        if kind is float and self.key_word and isinstance(plain, str):
            try:
                return float(plain)
            except ValueError:
                pass
        if kind is Path and isinstance(plain, str):
            return Path(plain)
        quotes = kind is str and self.key_word and isinstance(plain, int | float)
        hint = f'; write "{plain}"' if quotes else ""
        raise self.error(f"{place} must be {_WORDS.get(kind, str(kind))}, got {plain!r}{hint}")

    def _wrong(self, place: str, wanted: str, plain: object) -> BertCompressError:
        """Names the value where a person wrote it, the type where it may be a whole report."""
        got = repr(plain) if self.key_word else type(plain).__name__
        return self.error(f"{place} must be {wanted}, got {got}")


_STORED = _Reading(DataError, "an object")


def _schema(kind: object, parts: dict[str, Json]) -> dict[str, Json]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(argument, parts) for argument in arguments]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], parts)}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(arguments[1], parts)}
    if isinstance(kind, type) and is_dataclass(kind):
        return _schema_of_dataclass(kind, parts)
    return {"type": _JSON_TYPES[kind]}


def _schema_of_dataclass(kind: type, parts: dict[str, Json]) -> dict[str, Json]:
    if kind.__name__ not in parts:
        parts[kind.__name__] = {}  # taken, so that a type may hold itself
        known = _fields_of(kind)
        needed: list[Json] = [name for name, field in known.items() if field.required]
        parts[kind.__name__] = {
            "type": "object",
            "description": (kind.__doc__ or "").strip().split("\n", 1)[0],
            "properties": {name: _schema(field.kind, parts) for name, field in known.items()},
            "required": needed,
        }
    return {"$ref": f"#/$defs/{kind.__name__}"}
