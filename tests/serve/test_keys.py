"""Keys are found by id and secret, end when they should, and change without a restart."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bertcompress.errors import LoadError, UsageError
from bertcompress.serve import keys as keys_module
from bertcompress.serve.keys import KeyFile, add_key, read_keys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_is_shown_once_and_its_secret_is_not_stored(path: Path) -> None:
    key = add_key(path, "team-a")
    assert key.startswith("bc_team-a_")
    assert key.split("_", 2)[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = KeyFile(path).find(key)
    assert found is not None
    assert (found.id, found.scopes) == ("team-a", ("infer",))


@pytest.mark.parametrize("wrong", ["", "bc_", "bc_team-a_", "bc_team-a_wrong", "bc_nobody_x", "x"])
def test_what_is_no_key_is_refused(path: Path, wrong: str) -> None:
    add_key(path, "team-a")
    assert KeyFile(path).find(wrong) is None


def test_a_secret_with_underscores_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module.secrets, "token_urlsafe", lambda size: "a_b_c")
    key = add_key(path, "x")
    assert KeyFile(path).find(key) is not None


def test_a_key_ends(path: Path) -> None:
    key = add_key(path, "short", days=1)
    assert KeyFile(path).find(key) is not None
    content = json.loads(path.read_text())
    content["keys"][0]["expires"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    path.write_text(json.dumps(content))
    assert KeyFile(path).find(key) is None


def test_keys_change_without_a_restart(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "_LOOK_EVERY_S", 0.0)
    first = add_key(path, "first")
    held = KeyFile(path)
    second = add_key(path, "second")
    assert held.find(second) is not None
    path.write_text("half wri")
    os.utime(path, ns=(1, 1))
    assert held.find(first) is not None  # as they were, until the file can be read


def test_names_are_plain_and_taken_once(path: Path) -> None:
    add_key(path, "a")
    with pytest.raises(UsageError, match="has a key a already"):
        add_key(path, "a")
    for name in ("a b", "a_b", "", "ä"):
        with pytest.raises(UsageError, match="letters, digits and dashes"):
            add_key(path, name)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"keys": [{}]}', '{"keys": [{"id": 1}]}'])
def test_a_file_of_something_else_is_refused(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(LoadError, match="no file of keys"):
        read_keys(path)
    with pytest.raises(LoadError, match="can't read"):
        read_keys(path.with_name("none"))
