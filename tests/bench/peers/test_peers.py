"""Peers: made by other libraries, run beside ours, and named when they can't be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.bench import peers
from bertcompress.bench.peers import PEERS, Peer, make_peers
from fixtures.peers import drawn_features

pytestmark = pytest.mark.slow

Folder = Callable[..., Path]


def test_peers_are_made_once_and_become_variants(tiny_folder: Folder, tmp_path: Path) -> None:
    chosen = [peer for peer in PEERS if peer.recipe == "transformers-bf16"]

    first, skipped = make_peers(tiny_folder(), drawn_features(), tmp_path, threads=1, peers=chosen)
    made = first[0].folder / "peer.json"
    before = made.stat().st_mtime_ns
    second, _ = make_peers(tiny_folder(), drawn_features(), tmp_path, threads=1, peers=chosen)

    assert [variant.name for variant in first] == ["Transformers BF16"]
    assert first == second
    assert first[0].is_peer
    assert made.stat().st_mtime_ns == before
    assert not skipped


def test_a_peer_that_is_not_installed_is_named_with_what_to_type(
    tiny_folder: Folder, tmp_path: Path
) -> None:
    peer = Peer("Other INT8", "other", ("no_such_library", "nor_this"))

    made, skipped = make_peers(tiny_folder(), drawn_features(), tmp_path, threads=1, peers=[peer])

    assert not made
    assert skipped == [
        "Other INT8 was not measured: no_such_library and nor_this are not installed; "
        'type: pip install "bertcompress[peers]"'
    ]


def test_a_peer_that_needs_a_compiler_says_so(
    tiny_folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers.shutil, "which", lambda name: None)
    chosen = [peer for peer in PEERS if peer.needs_compiler]

    _, skipped = make_peers(tiny_folder(), drawn_features(), tmp_path, threads=1, peers=chosen)

    assert skipped == [
        "torch.compile FP32 was not measured: it compiles C++ when it is run, and there is no "
        "g++ or clang++"
    ]


def test_a_recipe_that_fails_is_named_and_leaves_nothing(
    tiny_folder: Folder, tmp_path: Path
) -> None:
    peer = Peer("Broken", "no-such-recipe")

    made, skipped = make_peers(
        tiny_folder(), drawn_features(), tmp_path / "peers", threads=1, peers=[peer]
    )

    assert not made
    assert skipped == [
        "Broken was not measured: it can't be made of this model: KeyError: 'no-such-recipe'"
    ]
    assert list((tmp_path / "peers").iterdir()) == []
