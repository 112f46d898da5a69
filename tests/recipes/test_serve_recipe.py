"""What is typed about a server, and what is refused before anything starts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.errors import MissingDependencyError, RunError, UsageError
from bertcompress.recipes.serve_recipe import (
    check_libraries,
    check_server,
    engines_of,
    models_of,
    new_key_in,
)
from bertcompress.serve.settings import ModelSettings, ServeSettings


def models(words: list[str], *, allow_rejected: bool = False) -> tuple[list[str], list[str]]:
    notes: list[str] = []
    found = models_of(
        words,
        task=None,
        runtime="auto",
        max_length=None,
        allow_rejected=allow_rejected,
        note=notes.append,
    )
    return list(found), notes


def test_models_have_the_names_that_were_given(graph_folder: Callable[..., Path]) -> None:
    folder = graph_folder()
    assert models([str(folder), f"other={folder}"])[0] == [folder.name, "other"]
    with pytest.raises(UsageError, match="two models are called"):
        models([str(folder), str(folder)])


def test_a_checkpoint_is_told_what_is_faster(tiny_folder: Callable[..., Path]) -> None:
    _, [note] = models([str(tiny_folder())])
    assert "quantize" in note


def test_there_is_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no model to serve"):
        models([])


def test_a_rejected_artifact_is_not_served_unasked(
    graph_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "rejected"
    folder.mkdir()
    for path in graph_folder().rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(graph_folder())
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    manifest = json.loads((folder / "bertcompress.json").read_text())
    manifest["history"][-1]["details"]["rejected"] = "it lost 3 points"
    (folder / "bertcompress.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r"lost 3 points.*--allow-rejected"):
        models([str(folder)])
    assert models([str(folder)], allow_rejected=True)[0] == ["rejected"]


def test_engines_are_a_number_or_a_word() -> None:
    assert [engines_of(word) for word in ("auto", "inline", "3")] == ["auto", "inline", 3]
    for word in ("0", "-1", "x", "1.5"):
        with pytest.raises(UsageError, match="--engines"):
            engines_of(word)


def test_a_key_goes_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assert new_key_in(path, "a", scopes="infer, metrics", days=3).startswith("bc_a_")
    assert json.loads(path.read_text())["keys"][0]["scopes"] == ["infer", "metrics"]
    with pytest.raises(UsageError, match="--keys"):
        new_key_in(None, "a", scopes="infer", days=None)
    with pytest.raises(UsageError, match="--days"):
        new_key_in(path, "b", scopes="infer", days=0)
    with pytest.raises(UsageError, match="did you mean 'infer'"):
        new_key_in(path, "b", scopes="infre", days=None)


def test_the_check_answers_and_ends(graph_folder: Callable[..., Path]) -> None:
    settings = ServeSettings(engines="inline")
    notes: list[str] = []
    lines = check_server({"m": ModelSettings(graph_folder())}, settings, note=notes.append)
    assert lines[0].startswith("m: text-classification")
    assert "answered" in lines[-1]


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_libraries()
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingDependencyError, match=r"bertcompress\[serve\]"):
        check_libraries()
