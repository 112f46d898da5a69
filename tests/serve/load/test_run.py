"""Servers and loads as processes: what happens where one of them can't run."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bertcompress.errors import RunError
from bertcompress.serve.load.plan import LoadPlan
from bertcompress.serve.load.run import live_server, run_load
from bertcompress.serve.settings import ModelSettings, ServeSettings


def test_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(RunError, match="the load could not be run: ConnectionRefusedError"):
        run_load(LoadPlan("127.0.0.1", port, "/predict", ("{}",)))


def test_a_server_that_does_not_come_up(tmp_path: Path) -> None:
    models = {"m": ModelSettings(tmp_path / "none")}
    with (
        pytest.raises(RunError, match="there is no folder"),
        live_server(models, ServeSettings(port=0)),
    ):
        pass
