"""Frozen dataclasses to JSON and back, and their JSON Schema, from the type annotations alone.

Covers what reports are made of: dataclasses, tuples of one type, string-keyed mappings, scalars,
literals and optional fields. Missing optional fields take their defaults, unknown fields are
passed over, so that a report of a later minor version still opens.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import TypeVar, cast

import numpy as np

from bertcompress.errors import DataError

T = TypeVar("T")
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_JSON_TYPES: dict[object, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    type(None): "null",
}


def to_plain(value: object) -> Json:
    """Returns the value as JSON has it: dataclasses become objects, tuples lists."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        return cast("Json", value.item())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def from_plain(kind: type[T], plain: object) -> T:
    """Makes a dataclass from its JSON form.

    Raises:
        DataError: If a field is missing or of another type; it names the place.
    """
    return cast("T", _decode(kind, plain, kind.__name__))


def schema_of(kind: type) -> dict[str, Json]:
    """Returns the JSON Schema (draft 2020-12) of a dataclass, with its parts under ``$defs``."""
    parts: dict[str, Json] = {}
    top = _schema(kind, parts)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "$defs": parts}


def _decode(kind: object, plain: object, place: str) -> object:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(arguments, plain, place)
    if origin is typing.Literal:
        if plain not in arguments:
            raise DataError(f"{place} must be one of {arguments}, got {plain!r}")
        return plain
    if origin is tuple:
        if not isinstance(plain, list):
            raise DataError(f"{place} must be a list, got {type(plain).__name__}")
        return tuple(_decode(arguments[0], item, f"{place}[{i}]") for i, item in enumerate(plain))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(plain, dict):
            raise DataError(f"{place} must be an object, got {type(plain).__name__}")
        return {key: _decode(arguments[1], item, f"{place}.{key}") for key, item in plain.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        return _decode_dataclass(kind, plain, place)
    if kind is float and isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain)
    if type(plain) is not kind:
        raise DataError(f"{place} must be {_name(kind)}, got {plain!r}")
    return plain


def _decode_union(kinds: tuple[object, ...], plain: object, place: str) -> object:
    if plain is None and type(None) in kinds:
        return None
    others = [kind for kind in kinds if kind is not type(None)]
    exact = [kind for kind in others if type(plain) is kind]
    return _decode((exact or others)[0], plain, place)


def _decode_dataclass(kind: type, plain: object, place: str) -> object:
    if not isinstance(plain, dict):
        raise DataError(f"{place} must be an object, got {type(plain).__name__}")
    hints = typing.get_type_hints(kind)
    values = {}
    for field in fields(kind):
        if field.name in plain:
            where = f"{place}.{field.name}"
            values[field.name] = _decode(hints[field.name], plain[field.name], where)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise DataError(f"{place}.{field.name} is missing")
    return kind(**values)


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
        hints = typing.get_type_hints(kind)
        needed: list[Json] = [
            field.name
            for field in fields(kind)
            if field.default is MISSING and field.default_factory is MISSING
        ]
        parts[kind.__name__] = {
            "type": "object",
            "description": (kind.__doc__ or "").strip().split("\n", 1)[0],
            "properties": {field.name: _schema(hints[field.name], parts) for field in fields(kind)},
            "required": needed,
        }
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _name(kind: object) -> str:
    return _JSON_TYPES.get(kind, str(kind))
