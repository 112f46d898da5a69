"""Signals that end a command are Ctrl-C, and say so in the exit code.

Each test signals a process of its own: one that signals itself takes the test run with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
START = """
import signal
from bertcompress_cli import signals

for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_DFL)

def heard(number):
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt:
        return True
    return False
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
        capture_output=True,
        text=True,
    )


def printed(code: str) -> str:
    ended = run(START + code)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.mark.parametrize("number", SIGNALS)
def test_each_is_an_interrupt_once(number: signal.Signals) -> None:
    # the later ones come while what was begun is being removed
    said = printed(
        f"signals.listen()\n"
        f"print(heard({int(number)}), *(heard(again) for again in {[int(one) for one in SIGNALS]}))"
        f"\nprint(signals.exit_code())"
    )

    assert said.splitlines() == ["True False False False", str(128 + number)]


def test_later_ones_are_heard_again() -> None:
    said = printed(
        "signals._DEAF_S = 0.0\nsignals.listen()\n"
        "print(heard(signal.SIGTERM), heard(signal.SIGINT), signals.exit_code())"
    )

    assert said == "True True 143"


def test_what_was_to_be_ignored_is() -> None:
    said = printed(
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does\nsignals.listen()\n"
        "print(heard(signal.SIGHUP), signals.exit_code())"
    )

    assert said == "False 130"


def test_the_command_ends_with_143() -> None:
    ended = run(
        "import os, signal, sys; from bertcompress_cli import app, main; "
        "app.run_command = lambda words: os.kill(os.getpid(), signal.SIGTERM); main.main()"
    )

    assert ended.returncode == 143
