"""The tree in the docstring is the tree of the classes, and each has its exit code."""

from __future__ import annotations

import inspect
import re

import pytest

from bertcompress import errors
from bertcompress.errors import (
    BertCompressError,
    LoadError,
    MissingDependencyError,
    UsageError,
    did_you_mean,
    is_out_of_memory,
)

CLASSES = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if issubclass(value, BertCompressError)
]
_LINE = re.compile(r"^ {4}([│├└─ ]*)(\w+) +(\d|-)", re.MULTILINE)


def drawn() -> dict[str, tuple[str | None, str]]:
    """Returns each class of the drawing with the class over it and its code."""
    tree: dict[str, tuple[str | None, str]] = {}
    above: list[str] = []
    for branch, name, code in _LINE.findall(errors.__doc__ or ""):
        depth = len(branch) // 4
        tree[name] = (above[depth - 1] if depth else None, code)
        above[depth:] = [name]
    return tree


def test_the_drawing_is_complete() -> None:
    assert set(drawn()) == {kind.__name__ for kind in CLASSES}
    assert len(CLASSES) > 15


@pytest.mark.parametrize("kind", CLASSES)
def test_each_class_is_where_it_is_drawn(kind: type[BertCompressError]) -> None:
    above, code = drawn()[kind.__name__]

    assert above in (None, kind.__bases__[0].__name__)
    assert code in ("-", str(kind.exit_code))


def test_a_usage_error_is_a_value_error() -> None:
    assert issubclass(UsageError, ValueError)
    assert not issubclass(LoadError, ValueError)


def test_a_missing_library_says_what_to_type() -> None:
    assert str(MissingDependencyError("onnxruntime", "cpu", "quantize")) == (
        'quantize needs onnxruntime, which is not installed; type: pip install "bertcompress[cpu]"'
    )


def test_only_a_near_word_is_offered() -> None:
    assert did_you_mean("haeds", ["heads", "ffn"]) == "; did you mean 'heads'?"
    assert did_you_mean("zzz", iter(["heads", "ffn"])) == ""
    assert did_you_mean("x", []) == ""


def test_little_memory_is_known_however_a_library_says_it() -> None:
    told = (
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("std::bad_alloc"),
    )
    wrapped = ValueError("x")
    wrapped.__cause__ = MemoryError()

    assert all(map(is_out_of_memory, (*told, wrapped)))
    assert not is_out_of_memory(RuntimeError("the memory of the model is damaged"))
    assert not is_out_of_memory(LoadError("asks for more: out of memory"))
