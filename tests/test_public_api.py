"""The public names: all there, quick to import, and the registration on import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bertcompress as bc
from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.bert.surgery import cut

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", bc.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(bc, name).__name__ == bc._CALLED.get(name, name)


def test_the_lists_of_names_agree() -> None:
    for_types = {
        (imported.module, name.name, name.asname or name.name)
        for imported in ast.walk(ast.parse(Path(bc.__file__).read_text(encoding="utf-8")))
        if isinstance(imported, ast.ImportFrom) and str(imported.module).startswith("bertcompress.")
        for name in imported.names
    }
    when_used = {
        (module, bc._CALLED.get(name, name), name)
        for module, names in bc._NAMES.items()
        for name in names
    }
    run_at_once = {
        ("bertcompress.bert.register", "register", "register"),
        ("bertcompress.quiet", "refuse_telemetry", "refuse_telemetry"),
    }
    assert for_types - run_at_once == when_used
    assert sorted(bc.__all__) == bc.__all__ == sorted(name for *_, name in when_used)
    assert set(bc.__all__) <= set(dir(bc))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'prune_heads'"):
        _ = bc.prune_heads  # type: ignore[attr-defined]


def test_lazily_imported_it_brings_nothing_heavy() -> None:
    code = (
        "import sys, bertcompress; "
        "print([m for m in ('torch', 'transformers', 'onnx', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT), "BERTCOMPRESS_LAZY": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_importing_it_is_enough_for_auto_classes(
    tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    from dataclasses import replace

    checkpoint = tiny_checkpoint()
    pruned = replace(checkpoint, model=cut(checkpoint.model, heads=((0,), (1, 2))))
    save(pruned, tmp_path / "pruned")
    code = (
        "import sys, bertcompress\n"
        "from transformers import AutoModelForSequenceClassification as Auto\n"
        "print(type(Auto.from_pretrained(sys.argv[1])).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pruned")],
        env={"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "PrunedBertForSequenceClassification", done.stderr
