"""The page on how to write a pass: the pass on it is one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.pipeline import Pipeline, StepStore

PAGE = Path(__file__).resolve().parents[1] / "docs/writing_a_pass.md"
Make = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[ModuleType]:
    """Gives the page's code as a module."""
    [code] = [part.split("```")[0] for part in PAGE.read_text("utf-8").split("```python")[1:]]
    file = tmp_path / "balance_classes.py"
    file.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[file.stem]


def test_it_does_its_work_and_leaves_its_input(
    page: ModuleType, tiny_checkpoint: Make, examples: Examples
) -> None:
    checkpoint, context = tiny_checkpoint(), Context(examples())
    before = checkpoint.model.classifier.bias.tolist()

    balanced = page.BalanceClasses()(checkpoint, context)
    again = page.BalanceClasses()(balanced, context)

    assert checkpoint.model.classifier.bias.tolist() == before != balanced.model.classifier.bias
    step = again.history[-1]
    assert (step.name, step.settings) == ("BalanceClasses", {"samples": 512, "seed": 0})
    assert step.details["shifts"] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert step.data["examples"].startswith("20 examples ")


def test_what_it_can_not_do_is_refused(
    page: ModuleType, tiny_checkpoint: Make, examples: Examples
) -> None:
    with pytest.raises(UsageError, match="samples must be 1 or more"):
        page.BalanceClasses(samples=0)
    with pytest.raises(UsageError, match="balancing needs texts"):
        page.BalanceClasses()(tiny_checkpoint())
    task = "token-classification"
    with pytest.raises(PassError, match="only classes can be balanced"):
        page.BalanceClasses()(tiny_checkpoint(task=task), Context(examples(task)))


@pytest.mark.slow
def test_in_a_chain_it_is_kept_saved_and_exported(
    page: ModuleType, tiny_checkpoint: Make, examples: Examples, tmp_path: Path
) -> None:
    chain, context = Pipeline([page.BalanceClasses(), ExportOnnx()]), Context(examples())
    store = StepStore(tmp_path / "steps")

    graph = chain.run(tiny_checkpoint(), context, store=store)

    assert isinstance(graph, OnnxModel)
    assert all(step.finished for step in chain.plan(tiny_checkpoint(), context, store=store))
    other = Context(examples(count=3))
    assert not any(step.finished for step in chain.plan(tiny_checkpoint(), other, store=store))
    save(graph, tmp_path / "balanced")
    assert load(tmp_path / "balanced").history == graph.history
