"""Class numbers by the names that the data set declares (`datasets.ClassLabel`).

The datasets library writes a column's type as JSON: into the schema of a Parquet or Arrow file
(key ``huggingface``), and for ``save_to_disk`` into ``dataset_info.json``. A negative number stands
for a hidden label there, and becomes none.

Source: https://huggingface.co/docs/datasets/package_reference/main_classes, `Features`.
"""

from __future__ import annotations

from collections.abc import Mapping

from bertcompress.reading import json_value

Names = Mapping[str, list[str]]
"""The names of the classes, by column."""


def names_in_schema(metadata: Mapping[bytes, bytes] | None) -> Names:
    """Returns the names in the metadata of an Arrow schema, none where there are none."""
    try:
        content = json_value((metadata or {}).get(b"huggingface", b"{}"))
    except ValueError:
        return {}
    info = content.get("info") if isinstance(content, Mapping) else None
    return names_in_features(info.get("features") if isinstance(info, Mapping) else None)


def names_in_features(features: object) -> Names:
    """Returns the names in the ``features`` of ``dataset_info.json`` or of a schema's metadata."""
    if not isinstance(features, Mapping):
        return {}
    named = {str(column): _names_of(feature) for column, feature in features.items()}
    return {column: names for column, names in named.items() if names}


def with_names(row: Mapping[str, object], named: Names) -> dict[str, object]:
    """Returns a row with names for class numbers, also in lists; a hidden label is None."""
    return {
        column: _name_of(value, named[column]) if column in named else value
        for column, value in row.items()
    }


def names_note(named: Names) -> str:
    """Says what class numbers were read as."""
    listed = [f"{column!r} ({_listed(names)})" for column, names in named.items()]
    return f"class numbers are read as the names that the data declares, in {', '.join(listed)}"


def _listed(names: list[str], shown: int = 5) -> str:
    pairs = [f"{number}={name}" for number, name in enumerate(names[:shown])]
    return ", ".join([*pairs, "…"] if len(names) > shown else pairs)


def _names_of(feature: object) -> list[str]:
    """Returns the names of a ClassLabel, or of a list of them in the ways it was ever written."""
    if isinstance(feature, list) and feature:
        return _names_of(feature[0])
    if not isinstance(feature, Mapping):
        return []
    if feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list):
        return [str(name) for name in feature["names"]]
    return _names_of(feature.get("feature"))


def _name_of(value: object, names: list[str]) -> object:
    if isinstance(value, list):
        return [_name_of(item, names) for item in value]
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return None
