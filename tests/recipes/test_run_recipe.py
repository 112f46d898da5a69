"""A recipe's variants: their passes, what is refused first, and what is made again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.bench.settings import BenchSettings
from bertcompress.errors import UsageError
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune_units import PruneFfn, PruneHeads
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.progress import silent
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.recipe import Recipe
from bertcompress.recipes.run_recipe import (
    STORE,
    check_recipe,
    passes_of,
    plan,
    run_recipe,
    with_output,
)
from bertcompress.train.finetune import Finetune


@pytest.fixture
def two(here: Path, model: Path) -> Recipe:
    """Two variants that share their first step; nothing is measured."""
    heads = PruneHeads(0.25)
    return Recipe(
        "two.yaml",
        str(model),
        here / "out",
        {"heads": (heads,), "heads + ffn": (heads, PruneFfn(0.25))},
    )


def test_a_shared_step_runs_once_and_what_is_finished_is_found(two: Recipe) -> None:
    told: list[str] = []

    def progress(stage: str, done: int, total: int) -> None:
        told.append(stage.partition(" · ")[0])

    before = {name: [it.finished for it in steps] for name, steps in plan(two).items()}
    assert run_recipe(two, progress=progress) is None
    after = {name: [it.finished for it in steps] for name, steps in plan(two).items()}
    first = {path: path.stat().st_mtime_ns for path in two.output.rglob("*.safetensors")}
    run_recipe(two, progress=silent)

    assert before == {"heads": [False], "heads + ffn": [False, False]}
    assert after == {"heads": [True], "heads + ffn": [True, True]}
    assert len([path for path in (two.output / STORE).iterdir() if path.is_dir()]) == 2
    assert {path: path.stat().st_mtime_ns for path in two.output.rglob("*.safetensors")} == first


def test_a_damaged_variant_is_made_again(two: Recipe) -> None:
    run_recipe(two, progress=silent)
    file = two.output / "heads" / "config.json"
    whole = file.read_bytes()
    file.write_bytes(b"{}")

    run_recipe(two, progress=silent)

    assert file.read_bytes() == whole


def test_a_benchmark_wants_graphs_only(two: Recipe) -> None:
    measured = replace(two, bench=BenchSettings(), base=(PruneFfn(0.25),))

    assert passes_of(two, "heads") == (PruneHeads(0.25),)
    assert passes_of(measured, "heads") == (PruneFfn(0.25), PruneHeads(0.25), ExportOnnx())
    quantized = replace(measured, variants={"INT8": (QuantizeDynamic(),)})
    assert passes_of(quantized, "INT8") == (PruneFfn(0.25), ExportOnnx(), QuantizeDynamic())


def test_what_can_not_be_meant_is_refused_with_the_recipes_name(two: Recipe, data: Path) -> None:
    source = DataSource(source=str(data))
    wrong = replace(two, variants={"INT8": (QuantizeDynamic(), PruneHeads(0.25))})
    with pytest.raises(UsageError, match=r"two\.yaml: variants\.INT8: .*PruneHeads"):
        check_recipe(wrong)
    with pytest.raises(UsageError, match="a benchmark needs data; add data:, or bench: false"):
        check_recipe(replace(two, bench=BenchSettings()))
    trained = replace(two, bench=BenchSettings(peers=True), base=(Finetune(),), data=source)
    with pytest.raises(UsageError, match="fine-tuned already, and base trains it"):
        check_recipe(trained)
    two.output.write_text("a file")
    with pytest.raises(UsageError, match="is a file; give a folder with -o"):
        check_recipe(two)


def test_an_output_that_was_typed_replaces_the_recipes(two: Recipe) -> None:
    assert with_output(two, None) is two
    assert with_output(two, Path("other")) == replace(two, output=Path("other"))
