"""Transformers is silent while asked to be, and no longer; what calls home is hidden."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import transformers

from bertcompress.quiet import quiet_transformers, refuse_telemetry, without_telemetry

logging: Any = transformers.utils.logging  # has no types


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    yield
    logging.set_verbosity(verbosity)
    set_bars(bars)


def set_bars(bars: bool) -> None:
    (logging.enable_progress_bar if bars else logging.disable_progress_bar)()


def settings() -> tuple[int, bool]:
    return logging.get_verbosity(), logging.is_progress_bar_enabled()


def fail_quietly() -> None:
    with quiet_transformers():
        assert settings() == (logging.ERROR, False)
        raise KeyError


@pytest.mark.parametrize("bars", [True, False])
def test_everything_is_as_before_afterwards(bars: bool) -> None:
    logging.set_verbosity(logging.INFO)
    set_bars(bars)

    with pytest.raises(KeyError):
        fail_quietly()

    assert settings() == (logging.INFO, bars)


@pytest.mark.parametrize("imported", [True, False])
def test_the_sender_is_hidden_and_comes_back(
    imported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = ModuleType("openvino_telemetry")
    if imported:
        monkeypatch.setitem(sys.modules, "openvino_telemetry", sender)
    else:
        monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)

    with without_telemetry(), pytest.raises(ImportError):
        importlib.import_module("openvino_telemetry")

    assert sys.modules.get("openvino_telemetry") is (sender if imported else None)


def test_libraries_are_told_not_to_call_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("NNCF_CI", "the user's own")

    refuse_telemetry()

    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    assert os.environ["NNCF_CI"] == "the user's own"


def test_whoever_imports_the_package_has_told_them() -> None:
    code = "import bertcompress, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {**os.environ, "BERTCOMPRESS_LAZY": "1"}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)

    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert said.stdout == "1\n"
