"""What a stranger's file may hold is told as a ValueError, never as a fault of the library's."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bertcompress.reading import inner_path, json_value, read_bounded, read_json, read_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]\n" for at in range(1, 15)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 100_000, "nested more than 64 levels"),
        ("[" * 500 + "]" * 500, "nested more than 64 levels"),
        ('{"a":' * 80 + "1" + "}" * 80, "nested more than 64 levels"),
        ('{"a": NaN}', "holds NaN"),
        ("[-Infinity]", "holds -Infinity"),
        ("[1e999]", "too large"),
        (f"[{'9' * 5000}]", "a number of 5,000 digits"),
        (r'["\ud83d"]', "half a character"),
        (r'{"\udc00": 1}', "half a character"),
        ("{", "Expecting property name"),
        ("", "Expecting value"),
        (b"\xff", "codec can't decode"),
    ],
)
def test_json_that_is_refused(text: str | bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        json_value(text)


def test_json_that_is_read() -> None:
    text = r'{"a": [1, -2.5e3, "\ud83d\ude00", 1000000000000000019884624838656], "a": [0]}'
    assert json_value('{"model_max_length": 1000000000000000019884624838656}') == {
        "model_max_length": 1000000000000000019884624838656
    }
    assert json_value(text) == {"a": [0]}
    assert str(json_value("[NaN]", finite=False)) == "[nan]"
    assert json_value("[" * 60 + "]" * 60) is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "more than 100,000 items"),
        ("a: &a [*a]", "nested more than 64|more than 100,000"),
        ("a: &a {b: *a}", "nested more than 64|more than 100,000"),
        ("[" * 3000, "nested"),
        ("a: 2001-99-99", "month must be"),
        ("a: !!timestamp x", ".+"),
        ('a: !!int ""', ".+"),
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ('a: "\\0"', "a zero byte"),
        ('a: "\\ud800"', "half a character"),
        (f"a: {'9' * 4000}", "more than 40 digits"),
        ("a: *none", "undefined alias"),
        ("a: [", ".+"),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    began = time.monotonic()

    with pytest.raises(ValueError, match=told):
        read_yaml(path)
    assert time.monotonic() - began < 5


def test_yaml_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("base: &base {heads: 0.3}\nvariants: {a: *base, b: [1, null, yes]}\n")

    assert read_yaml(path) == {
        "base": {"heads": 0.3},
        "variants": {"a": {"heads": 0.3}, "b": [1, None, True]},
    }


def test_only_regular_files_of_a_bounded_size_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("[1]")
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")

    assert read_json(tmp_path / "link") == [1]
    with pytest.raises(ValueError, match="3 bytes, and 2 are the most"):
        read_bounded(path, most=2)
    for name in ("pipe", "zero"):
        with pytest.raises(ValueError, match="not a regular file"):
            read_json(tmp_path / name)
    with pytest.raises(OSError, match="directory"):
        read_json(tmp_path)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", "a\0b", "out/secret"])
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_text("x")
    (folder / "out").symlink_to(tmp_path)

    with pytest.raises(ValueError, match=r"is no name of a file inside|is a link that leads out"):
        inner_path(folder, name)


def test_names_that_stay_inside(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main" / "onnx"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    (blobs / "1").write_text("x")
    (snapshot / "model.onnx.data").symlink_to(blobs / "1")

    assert inner_path(tmp_path, "a/b.json") == tmp_path / "a" / "b.json"
    found = inner_path(snapshot, "model.onnx.data", within=snapshot.parent)
    assert found.read_text() == "x"
