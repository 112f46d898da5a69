"""Signals that end a command: each is Ctrl-C, so that nothing half-made is left behind.

While what was begun is being removed, further ones are not heard, or it would stay.
"""

from __future__ import annotations

import signal
import time
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_DEAF_S = 5.0
_HEARD: list[tuple[int, float]] = []


def listen() -> None:
    """Makes a KeyboardInterrupt of each signal, but of those that whoever started us lets pass."""
    for name in _NAMES:
        number = getattr(signal, name, None)  # not every system has all
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def exit_code() -> int:
    """Returns 128 and the number of the signal that came first: 130 for Ctrl-C, 143 for TERM."""
    return 128 + (_HEARD[0][0] if _HEARD else signal.SIGINT)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    now = time.monotonic()
    if _HEARD and now - _HEARD[-1][1] < _DEAF_S:
        return
    _HEARD.append((number, now))
    raise KeyboardInterrupt
