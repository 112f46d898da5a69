"""The demo is a recipe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

Ok = Callable[..., str]


def test_the_demo_is_a_recipe_that_run_takes(
    ok: Ok, here: Path, model: Path, data: Path, short_quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertcompress.recipes import demo

    short = re.sub(r"epochs: \d+", "epochs: 1", demo._RECIPE)
    short = re.sub(r"samples: \d+", "samples: 8", short)
    monkeypatch.setattr(demo, "_RECIPE", short)

    found = json.loads(ok("demo", "-o", "made", "--model", model, "--data", data, "--json"))

    names = [row["name"] for row in found["variants"]]
    assert names == ["FP32", "pruned", "INT8", "pruned + INT8", "INT4"]
    plan = json.loads(ok("run", "made/recipe.yaml", "--dry-run", "--json"))["variants"]
    assert all(step["finished"] for steps in plan.values() for step in steps)
