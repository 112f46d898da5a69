"""Reads JSON and YAML that anyone may have written: bounded, and every fault is a ValueError.

The libraries have faults of their own where a file is meant to harm: they end with RecursionError
where lists are nested deep, with AttributeError or IndexError on a date that is none, follow a few
lines of YAML that name each other to more items than there is memory, and give NaN, infinity,
numbers of thousands of digits and halves of characters, which fail much later. All of that is told
here, once, as what it is.

Names of files inside a folder are checked here too (`inner_path`): a stranger's file must not make
anybody read outside of the model's folder.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import cast

LARGEST_FILE = 64 << 20
"""Bytes of the largest JSON file: the tokenizer of XLM-RoBERTa has 17 MB."""

_LARGEST_YAML = 1 << 20
"""Bytes; a recipe has a few hundred, and YAML is read at about 0.1 MB a second."""
_DEEPEST = 64
_MOST_ITEMS = 100_000
_MOST_DIGITS = 40
"""Of a whole number: Transformers writes 10^30 for the length of a tokenizer without limit."""
_BRACKETS, _MOST_BRACKETS = re.compile(r"[\[\]{}]"), 4 * _DEEPEST
_CONTAINERS = (dict, list, tuple, set)
_MAY_BE_HALF = re.compile(r"\\[uU](?:0000)?[dD][89a-fA-F]")


def read_bounded(path: Path, *, most: int = LARGEST_FILE) -> bytes:
    """Returns a regular file's content.

    Args:
        path: The file, or a link to it.
        most: The bytes that it may have.

    Raises:
        OSError: It can't be read.
        ValueError: It is no regular file, or larger.
    """
    facts = path.stat()  # first: opening a pipe waits for a writer
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
        raise ValueError("it is not a regular file")
    if facts.st_size > most:
        raise ValueError(f"it has {facts.st_size:,} bytes, and {most:,} are the most")
    with path.open("rb") as file:
        return file.read(most)


def read_json(path: Path, *, most: int = LARGEST_FILE) -> object:
    """Returns what a JSON file holds; see `json_value`.

    Args:
        path: The file.
        most: The bytes that it may have.

    Raises:
        OSError: It can't be read.
        ValueError: It is not JSON, or not plain enough.
    """
    return json_value(read_bounded(path, most=most))


def json_value(text: str | bytes, *, finite: bool = True) -> object:
    """Returns what a JSON text holds.

    Args:
        text: As UTF-8 where it is bytes.
        finite: Whether NaN and infinity are refused; data sets have them for what is missing.

    Raises:
        json.JSONDecodeError: It is not JSON.
        ValueError: It is not UTF-8, nested deep, or holds a number or a text that can't be used.
    """
    text = text.decode("utf-8") if isinstance(text, bytes) else text
    try:
        value: object = json.loads(
            text,
            parse_int=_whole,
            parse_constant=_not_json if finite else None,
            parse_float=_finite if finite else None,
        )
    except RecursionError:
        raise _too_deep() from None
    _check_items(value, math.inf)
    if _MAY_BE_HALF.search(text):
        _check_halves(_scalars(value))
    return value


def read_yaml(path: Path) -> object:
    """Returns what a YAML file holds.

    Raises:
        OSError: It can't be read.
        ValueError: It is not YAML, or not plain enough.
    """
    import yaml

    text = read_bounded(path, most=_LARGEST_YAML).decode("utf-8")
    steps = (1 if mark in "[{" else -1 for mark in _BRACKETS.findall(text))
    if max(itertools.accumulate(steps), default=0) > _MOST_BRACKETS:
        raise _too_deep()  # which the library finds too, after many seconds
    try:
        value: object = yaml.safe_load(text)
    except RecursionError:
        raise _too_deep() from None
    except Exception as error:  # a date or number that is none is any error of Python's
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
    _check_items(value, _MOST_ITEMS)
    scalars = [*_scalars(value)]
    _check_halves(scalars)
    for part in scalars:
        if isinstance(part, str) and "\0" in part:
            raise ValueError("it holds a text with a zero byte")
        if isinstance(part, int) and abs(part) >= 10**_MOST_DIGITS:
            raise ValueError(f"it holds a number of more than {_MOST_DIGITS} digits")
    return value


def reason(error: OSError | ValueError) -> str:
    """Returns why a file can't be read, without its name."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def is_inner_name(name: str) -> bool:
    """Says whether a name is one of a file inside a folder."""
    parts = PurePosixPath(name)
    return bool(name) and "\0" not in name and not parts.is_absolute() and ".." not in parts.parts


def inner_path(folder: Path, name: str, *, within: Path | None = None) -> Path:
    """Returns the path of a file that another file names, which has to lie in the model's folder.

    In the hub's cache both are links into the model's own ``blobs``.

    Args:
        folder: Where relative names start.
        name: The file's name.
        within: The model's folder, where that is another one.

    Raises:
        ValueError: The name is empty or absolute, or leads out of the folder, by itself or by a
            link.
    """
    if not is_inner_name(name):
        raise ValueError(f"{name!r} is no name of a file inside {folder}")
    path = folder / name
    real = (within or folder).resolve()
    home = real.parent.parent if real.parent.name == "snapshots" else real
    if not path.resolve().is_relative_to(home):
        raise ValueError(f"{name!r} is a link that leads out of {folder}")
    return path


def _not_json(word: str) -> float:
    raise ValueError(f"it holds {word}, which is no number")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"it holds the number {digits[:_MOST_DIGITS]}, which is too large")
    return value


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"it holds a number of {len(digits):,} digits")
    return int(digits)


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {_DEEPEST} levels deep")


def _inner(part: object) -> Iterable[object]:
    return part.values() if isinstance(part, dict) else cast("Iterable[object]", part)


def _check_items(value: object, most: float) -> None:
    """Fails where a value is nested too deep or has too many items, names followed each time."""
    items, level = 0, [value]
    for _ in range(_DEEPEST + 1):
        parts = [part for part in level if isinstance(part, _CONTAINERS)]
        if not parts:
            return
        items += sum(map(len, parts))
        if items > most:
            raise ValueError(f"it has more than {most:,} items, names followed")
        level = list(itertools.chain.from_iterable(map(_inner, parts)))
    raise _too_deep()


def _scalars(value: object) -> Iterator[object]:
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, _CONTAINERS):
            waiting += _inner(part)
            waiting += part if isinstance(part, dict) else ()
        else:
            yield part


def _check_halves(scalars: Iterable[object]) -> None:
    for part in scalars:
        try:
            if isinstance(part, str):
                part.encode()
        except UnicodeEncodeError:
            raise ValueError("it holds half a character (a lone surrogate)") from None
