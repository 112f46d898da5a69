"""Reports to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest

from bertcompress.codec import from_plain, schema_of, to_plain
from bertcompress.errors import DataError
from bertcompress.report.schema import Report


@dataclass(frozen=True)
class Inner:
    value: float
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    inner: tuple[Inner, ...]
    names: Mapping[str, int]
    maybe: Inner | None = None
    cell: bool | int | float | str | None = None


def test_a_report_survives_the_way_to_json_and_back(report: Report) -> None:
    assert from_plain(Report, json.loads(json.dumps(to_plain(report)))) == report


def test_missing_optional_fields_take_defaults_and_unknown_ones_are_passed_over() -> None:
    plain = {"inner": [{"value": 1, "later": "field"}], "names": {"x": 2}, "more": 1}

    assert from_plain(Outer, plain) == Outer((Inner(1.0),), {"x": 2})


@pytest.mark.parametrize("cell", [True, 3, 2.5, "x", None])
def test_cells_keep_their_type(cell: bool | float | str | None) -> None:
    outer = Outer((), {}, Inner(1.0, "b"), cell)

    back = from_plain(Outer, json.loads(json.dumps(to_plain(outer))))

    assert back == outer
    assert type(back.cell) is type(cell)


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"names": {}}, "Outer.inner is missing"),
        ({"inner": [{"value": "x"}], "names": {}}, r"Outer.inner\[0\].value must be number"),
        ({"inner": {}, "names": {}}, "Outer.inner must be a list"),
        ({"inner": [], "names": []}, "Outer.names must be an object"),
        ({"inner": [3], "names": {}}, r"Outer.inner\[0\] must be an object"),
        ({"inner": [{"value": 1, "kind": "c"}], "names": {}}, "must be one of"),
    ],
)
def test_damage_is_named_with_its_place(plain: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_plain(Outer, plain)


def test_what_has_no_json_form_is_refused() -> None:
    assert to_plain(np.float32(0.5)) == 0.5
    with pytest.raises(TypeError, match="no JSON form"):
        to_plain({1, 2})


def test_the_schema_names_every_part() -> None:
    schema = schema_of(Outer)

    assert schema["$ref"] == "#/$defs/Outer"
    parts = schema["$defs"]
    assert isinstance(parts, dict)
    assert set(parts) == {"Outer", "Inner"}
