"""Reports to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from bertcompress.codec import decode, from_plain, schema_of, to_plain
from bertcompress.errors import DataError, UsageError
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


@dataclass(frozen=True)
class Settings:
    rate: float = 1.0
    count: int = 1
    name: str = ""
    fast: bool = False
    method: Literal["a", "b"] = "a"
    lengths: tuple[int, ...] = ()
    pair: tuple[int, int] = (0, 0)
    target: str | None = None
    table: Path | None = None


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
        (
            {"inner": [{"value": "x"}], "names": {}},
            r"Outer.inner\[0\].value must be a number, got 'x'",
        ),
        ({"inner": {}, "names": {}}, "Outer.inner must be a list"),
        ({"inner": [], "names": []}, "Outer.names must be an object"),
        ({"inner": [3], "names": {}}, r"Outer.inner\[0\] must be an object"),
        ({"inner": [{"value": 1, "kind": "c"}], "names": {}}, "must be one of"),
    ],
)
def test_damage_is_named_with_its_place(plain: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_plain(Outer, plain)


def test_settings_are_read_as_people_write_them() -> None:
    written = {"rate": "5e-5", "lengths": [1, 2], "pair": (3, 4), "target": None, "table": "t.npz"}

    settings = decode(Settings, written, "prune")

    assert settings == Settings(rate=5e-5, lengths=(1, 2), pair=(3, 4), table=Path("t.npz"))
    assert type(decode(Settings, {"rate": 2}, "prune").rate) is float


def test_a_choice_is_left_to_the_settings_which_know_what_it_means() -> None:
    assert decode(Settings, {"method": "c"}, "prune").method == "c"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"rates": 1}, r"prune has no key 'rates'; did you mean 'rate'\?"),
        ({"zzz": 1}, "prune has no key 'zzz'; it has rate, count, name, fast"),
        ({"rate": "x"}, "prune.rate must be a number, got 'x'"),
        ({"rate": True}, "prune.rate must be a number, got True"),
        ({"count": 2.0}, "prune.count must be a whole number, got 2.0"),
        ({"count": "8"}, "prune.count must be a whole number, got '8'"),
        ({"count": True}, "prune.count must be a whole number, got True"),
        ({"fast": 1}, "prune.fast must be true or false, got 1"),
        ({"name": []}, r"prune.name must be a text, got \[\]$"),
        ({"target": 10.14}, 'prune.target must be a text, got 10.14; write "10.14"'),
        ({"lengths": 3}, "prune.lengths must be a list, got 3"),
        ({"lengths": [1, "x"]}, r"prune.lengths\[1\] must be a whole number, got 'x'"),
        ({"pair": [1]}, r"prune.pair must be a list of 2, got \[1\]"),
        ([], r"prune must be a mapping with rate, count, .*, table, got \[\]"),
    ],
)
def test_settings_that_can_not_be_meant_are_told(written: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        decode(Settings, written, "prune")


def test_a_missing_or_unknown_setting_is_called_as_its_place_calls_it() -> None:
    with pytest.raises(UsageError, match=r"inner.value is missing"):
        decode(Inner, {}, "inner")
    with pytest.raises(UsageError, match="inner has no setting 'valu'; did you mean 'value'"):
        decode(Inner, {"valu": 1}, "inner", key_word="setting")


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


def test_a_number_or_a_word_is_what_it_is() -> None:
    @dataclass(frozen=True)
    class Either:
        engines: int | Literal["auto"]

    for value in (3, "auto"):
        assert from_plain(Either, {"engines": value}) == Either(value)
