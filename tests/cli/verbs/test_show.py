"""How an artifact was made, and what pruning removed from it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

Ok = Callable[..., str]


def test_show_says_how_an_artifact_was_made(ok: Ok, here: Path, model: Path) -> None:
    ok("prune", model, "--heads", "0.3", "-o", "small")

    found = json.loads(ok("show", "small", "--json"))
    assert found["kind"] == "checkpoint"
    assert [step["name"] for step in found["steps"]] == ["PruneHeads"]
    assert "PruneHeads" in ok("show", "small")
    assert "negative, positive" in ok("show", model)


def test_show_maps_what_pruning_removed(ok: Ok, here: Path, model: Path) -> None:
    ok("prune", model, "--heads", "0.3", "-o", "small")
    path = here / "small" / "bertcompress.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    piece = {"unit": "heads", "layer": 0, "removed": 1, "of": 2, "by_score": 0.01, "in_truth": 0.02}
    manifest["history"][-1]["details"]["explain"] = {
        "head_costs": [[0.3, 0.01]],
        "heads_kept": [[0]],
        "ffn_before": [64],
        "ffn_after": [64],
        "ffn_costs": [[]],
        "pieces": [piece],
        "cost_unit": "KL, nats",
    }
    path.write_text(json.dumps(manifest), encoding="utf-8")

    text = ok("show", "small")
    facts = json.loads(ok("show", "small", "--json"))

    assert "0  #.         1 of 2  ########  64 of 64" in text
    assert re.search(r"layer 0, heads +1 of 2 +0\.01 +0\.02", text)
    assert facts["steps"][-1]["details"]["explain"]["pieces"] == [piece]
