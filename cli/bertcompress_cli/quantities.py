"""Reads quantities as people type them: ``1%``, ``30MB``, ``5ms``, ``2x``.

>>> fraction("max-drop", "1%"), size_bytes("max-size", "30MB"), seconds("max-latency", "5ms")
(0.01, 30000000, 0.005)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bertcompress.errors import UsageError

_NUMBER = re.compile(r"([0-9]*\.?[0-9]+)\s*([A-Za-z%×]*)")
_BYTES = {
    **{"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9},
    **{"kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30},
}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
_FRACTIONS = {"": 1.0, "%": 1e-2}
_UNCLEAR = 0.1
"""From here on a number without a unit may be meant as percent or as a fraction."""
_RATIOS = {"": 1.0, "x": 1.0, "×": 1.0}


def fraction(name: str, text: str | None) -> float | None:
    """Returns a fraction typed as ``0.01`` or ``1%``."""
    return _read(name, text, _FRACTIONS, "0.01 or 1%")


def loss(name: str, text: str | None) -> float | None:
    """Returns a small fraction typed as ``0.01`` or ``1%``; from 0.1 on it needs its %."""
    value = fraction(name, text)
    if value is not None and text is not None and value >= _UNCLEAR and "%" not in text:
        raise UsageError(f"--{name} {text}: {value:g}% or {100 * value:g}%? type it with its %")
    return value


def ratio(name: str, text: str | None) -> float | None:
    """Returns a ratio typed as ``2`` or ``2x``."""
    return _read(name, text, _RATIOS, "2 or 2x")


def seconds(name: str, text: str | None) -> float | None:
    """Returns seconds typed as ``5ms`` or ``0.005s``."""
    return _read(name, text, _SECONDS, "5ms or 0.005s")


def size_bytes(name: str, text: str | None) -> int | None:
    """Returns bytes typed as ``30MB``, ``28MiB`` or ``30000000``."""
    count = _read(name, text, _BYTES, "30MB, 28MiB or 30000000")
    return None if count is None else round(count)


def count(name: str, text: str | None) -> int | None:
    """Returns a count typed as ``22M``, ``2.9G`` or ``22713986``."""
    number = _read(name, text, _COUNTS, "22M, 2.9G or 22713986")
    return None if number is None else round(number)


def whole_numbers(name: str, text: str | None) -> list[int] | None:
    """Returns whole numbers typed as ``16,32,64``.

    >>> whole_numbers("lengths", "16, 32")
    [16, 32]
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"{name} must be whole numbers such as 16,32,64, got {text!r}")
    return [int(part) for part in parts]


def amount(name: str, text: str | None) -> float | None:
    """Returns a count typed as ``12M``, or a part typed as ``0.6`` or ``60%``."""
    return _read(name, text, {**_COUNTS, **_FRACTIONS}, "12M or 0.6")


def _read(name: str, text: str | None, units: Mapping[str, float], form: str) -> float | None:
    if text is None:
        return None
    match = _NUMBER.fullmatch(text.strip())
    if match is None or match[2].lower() not in units:
        raise UsageError(f"--{name} takes a quantity such as {form}, got {text!r}")
    return round(float(match[1]) * units[match[2].lower()], 12)
