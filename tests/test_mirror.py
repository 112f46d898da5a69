"""Tests mirror the code: each module has a test file of its name, in a folder of the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MIRRORS = {
    "bertcompress": "tests",
    "cli/bertcompress_cli": "tests/cli",
    "calibration/bertcompress_calibration": "tests/calibration",
}
NO_MIRRORS = (
    *("tests/benchmarks/", "tests/borders/", "tests/fakes/", "tests/fixtures/"),
    "tests/hostile/",
)
"""Folders of tests that are of no package."""

WITHOUT_A_TEST_FILE = {
    "bertcompress/bert/modeling_pruned_distilbert.py": "tests/bert/test_families.py runs all",
    "bertcompress/bert/modeling_pruned_electra.py": "tests/bert/test_families.py runs all",
    "bertcompress/bert/modeling_pruned_roberta.py": "tests/bert/test_families.py runs all",
    "bertcompress/bench/names.py": "three constants",
    "bertcompress/bench/results.py": "a class without behaviour",
    "bertcompress/profiling/profiled_run.py": "two classes without behaviour",
    "cli/bertcompress_cli/app.py": "tests/cli/test_help.py asks all verbs for their help",
    "cli/bertcompress_cli/main.py": "tests/cli/test_help.py and test_interrupt.py start it",
    "cli/bertcompress_cli/verbs/doctor.py": "tests/cli/test_help.py starts it without libraries",
}
"""Modules without a test file of their name, and why."""

WITHOUT_A_MODULE = {
    "tests/bench/peers/test_peers.py": "bertcompress/bench/peers/__init__.py",
    "tests/bench/worker/test_imports.py": "what the measuring process must not load",
    "tests/calibration/test_stock_bugs.py": "what ONNX Runtime's own calibrators get wrong",
    "tests/cli/test_bad_input.py": "one sentence for each wrong input, of all verbs",
    "tests/cli/test_help.py": "what all verbs say of themselves",
    "tests/cli/test_interrupt.py": "an end in the middle, of all verbs",
    "tests/passes/test_edges.py": "texts far from those calibrated on, of all ways to quantize",
    "tests/passes/test_stock_bugs.py": "what the stock quantizers get wrong",
    "tests/runtimes/test_runtimes.py": "bertcompress/runtimes/__init__.py",
    "tests/serve/test_stock_clients.py": "the clients of other servers, unchanged",
    "tests/test_action.py": "action.yml",
    "tests/test_mirror.py": "the tests themselves",
    "tests/test_packaging.py": "what the packages are built of",
    "tests/test_public_api.py": "what the packages export",
    "tests/test_readme.py": "README.md",
    "tests/test_writing_a_pass.py": "docs/writing_a_pass.md",
    "tests/artifacts/test_folders_of_0_1.py": "folders that version 0.1.0 wrote",
    "tests/recipes/test_recipes_of_0_1.py": "recipes that version 0.1.0 wrote",
}
"""Test files without a module of their name, and what they test."""


def missing_test_files() -> set[str]:
    """Returns the modules without a test file of their name."""
    return {
        f"{package}/{module.as_posix()}"
        for package, tests in MIRRORS.items()
        for module in _files_below(package)
        if module.name != "__init__.py" and not (ROOT / tests / _test_file_of(module)).is_file()
    }


def missing_modules() -> set[str]:
    """Returns the test files without a module of their name."""
    wanted = {
        (Path(tests) / _test_file_of(module)).as_posix()
        for package, tests in MIRRORS.items()
        for module in _files_below(package)
    }
    test_files = {
        f"tests/{file.as_posix()}"
        for file in _files_below("tests")
        if file.name.startswith("test_")
    }
    return {file for file in test_files - wanted if not file.startswith(NO_MIRRORS)}


def _files_below(folder: str) -> list[Path]:
    return [file.relative_to(ROOT / folder) for file in (ROOT / folder).rglob("*.py")]


def _test_file_of(module: Path) -> Path:
    return module.with_name(f"test_{module.name}")


def test_every_module_has_a_test_file_of_its_name() -> None:
    assert sorted(missing_test_files() - set(WITHOUT_A_TEST_FILE)) == []


def test_every_test_file_has_a_module_of_its_name() -> None:
    assert sorted(missing_modules() - set(WITHOUT_A_MODULE)) == []


@pytest.mark.parametrize(
    ("listed", "missing"),
    [
        (WITHOUT_A_TEST_FILE, missing_test_files),
        (WITHOUT_A_MODULE, missing_modules),
    ],
    ids=["modules", "test files"],
)
def test_what_is_listed_is_there_and_lacks_the_other(
    listed: Iterable[str], missing: Callable[[], set[str]]
) -> None:
    assert sorted(name for name in listed if not (ROOT / name).is_file()) == []
    assert sorted(set(listed) - missing()) == []
