"""Signals that end a command are Ctrl-C, and say so in the exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bertcompress_cli import signals

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(signals, "_HEARD", [])
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_each_is_an_interrupt_once(number: signal.Signals) -> None:
    signals.listen()

    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    for again in SIGNALS:
        signal.raise_signal(again)  # while what was begun is being removed

    assert signals.exit_code() == 128 + number


def test_later_ones_are_heard_again(monkeypatch: pytest.MonkeyPatch) -> None:
    signals.listen()
    monkeypatch.setattr(signals, "_DEAF_S", 0.0)
    for number in (signal.SIGTERM, signal.SIGINT):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)

    assert signals.exit_code() == 143


def test_what_was_to_be_ignored_is() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    signals.listen()

    signal.raise_signal(signal.SIGHUP)

    assert signals.exit_code() == 130


def test_the_command_ends_with_143() -> None:
    code = (
        "import os, signal, sys; from bertcompress_cli import app, main; "
        "app.run_command = lambda words: os.kill(os.getpid(), signal.SIGTERM); main.main()"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    ended = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, check=False
    )

    assert ended.returncode == 143
