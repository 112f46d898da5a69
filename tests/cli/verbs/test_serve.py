"""The command of the server, without a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Ok = Callable[..., str]
Fails = Callable[..., str]


def test_the_check_prints_the_settings(ok: Ok, graph_folder: Callable[..., Path]) -> None:
    said = ok("serve", f"m={graph_folder()}", "--check", "--engines", "1")
    assert said.startswith("m: text-classification")


def test_a_key_is_made_and_printed(ok: Ok, fails: Fails, here: Path) -> None:
    assert ok("serve", "--new-key", "a", "--keys", "k.json").startswith("bc_a_")
    assert "has a key a already" in fails(2, "serve", "--new-key", "a", "--keys", "k.json")
    assert "--new-key" in fails(2, "serve", "--days", "3")


def test_wrong_words_are_one_sentence(
    fails: Fails, here: Path, graph_folder: Callable[..., Path]
) -> None:
    assert "no model to serve" in fails(2, "serve")
    assert "open to other machines" in fails(
        2, "serve", graph_folder(), "--host", "0.0.0.0", "--check"
    )
    assert "--engines" in fails(2, "serve", graph_folder(), "--engines", "x")
    assert "no-such" in fails(1, "serve", "no-such-folder", "--check")
