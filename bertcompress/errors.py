"""The errors that bertcompress raises, one branch for each phase.

    BertCompressError              1   something failed
    ├── UsageError                 2   a setting that can't be meant
    ├── LoadError                  1   a model folder that can't be read
    ├── DataError                  1   a data set that can't be read or used
    │   └── LabelMismatchError     1   labels that the model does not know
    ├── PassError                  1   a pass that can't do its work on this artifact
    │   └── UnexpectedPassError    1   a pass that failed in a way that nobody foresaw
    ├── CalibrationError           1   ranges that can't be found or do not fit
    ├── ExportError                1   a graph that can't be made
    │   ├── ParityError            1   a graph that answers differently
    │   └── FusionAuditError       1   a graph whose matrix products stayed in float
    ├── BuildError                 1   an engine that can't be built
    ├── RunError                   1   an artifact that can't be run
    ├── GateError                  -   a measured figure outside its bound
    │   ├── AccuracyGateError      3
    │   └── SpeedGateError         4
    └── MissingError               5   something that is not on this machine
        ├── MissingDependencyError 5
        └── MissingHardwareError   5

The number is the exit code of the command. Every message is one sentence or two: what was asked,
what was found, what to type instead.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable, Iterator


class BertCompressError(Exception):
    """Is the root of all errors that a user can meet."""

    exit_code = 1


class UsageError(BertCompressError, ValueError):
    """Says that a setting is outside what is allowed."""

    exit_code = 2


class LoadError(BertCompressError):
    """Says that a model folder can't be read, or is not a model this tool knows."""


class DataError(BertCompressError):
    """Says that a data set can't be read or used."""


class LabelMismatchError(DataError):
    """Says that the data set's labels and the model's labels differ."""


class PassError(BertCompressError):
    """Says that a pass can't do its work on this artifact."""


class FinishedInterrupt(BaseException):
    """Is an interrupt that came when what was asked for was there already; its text says so.

    It is no KeyboardInterrupt: of those the command's library passes on an exit code only.
    """


class UnexpectedPassError(PassError):
    """Says in which pass of a chain an error came up that nobody foresaw; it is the cause.

    Args:
        where: The pass, and its place in the chain.
        error: What came out of it.
    """

    def __init__(self, where: str, error: Exception) -> None:
        first = str(error).strip().split("\n", 1)[0]
        super().__init__(
            f"{where} failed unexpectedly: {type(error).__name__}{': ' if first else ''}{first}; "
            "please report it with its traceback"
        )


class CalibrationError(BertCompressError):
    """Says that ranges can't be found, or do not belong to this model."""


class ExportError(BertCompressError):
    """Says that a graph can't be made from a checkpoint."""


class ParityError(ExportError):
    """Says that a graph's outputs differ from the original's by more than the tolerance."""


class FusionAuditError(ExportError):
    """Says that the runtime leaves matrix products in float that should have been integer."""


class BuildError(BertCompressError):
    """Says that an engine can't be built."""


class RunError(BertCompressError):
    """Says that an artifact can't be run as asked."""


class GateError(BertCompressError):
    """Says that a measured figure is outside its bound."""


class AccuracyGateError(GateError):
    """Says that accuracy fell further than allowed."""

    exit_code = 3


class SpeedGateError(GateError):
    """Says that speed, latency or size is outside its bound."""

    exit_code = 4


class MissingError(BertCompressError):
    """Says that something needed is not on this machine."""

    exit_code = 5


class MissingDependencyError(MissingError):
    """Says that a library is not installed, with the command that installs it.

    Args:
        library: Its name.
        extra: The extra that brings it.
        purpose: What needs it.
        index: The package index that its wheels come from, where that is not the usual one.
    """

    def __init__(self, library: str, extra: str, purpose: str, *, index: str | None = None) -> None:
        super().__init__(
            f"{purpose} needs {library}, which is not installed; "
            f'type: pip install "bertcompress[{extra}]"'
            + (f" --extra-index-url {index}" if index else "")
        )


class MissingHardwareError(MissingError):
    """Says that a device or instruction set is not on this machine."""


FREE_MEMORY = "close other programs, or take a machine or container with more"

_OUT_OF_MEMORY = re.compile(
    r"can't allocate memory|cannot allocate memory|not enough memory|out of memory|bad_alloc"
    r"|failed to allocate|insufficient memory",
    re.IGNORECASE,
)
"""How torch, safetensors, ONNX Runtime and the system say it, most of them as a RuntimeError."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error, what it was raised from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def is_out_of_memory(error: BaseException) -> bool:
    """Says whether an error, or what it was raised from, tells of too little memory."""
    return any(
        isinstance(cause, MemoryError)
        or getattr(cause, "errno", None) == errno.ENOMEM
        or (not isinstance(cause, BertCompressError) and _OUT_OF_MEMORY.search(str(cause)))
        for cause in causes(error)
    )


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the nearest allowed word, or an empty string.

    >>> did_you_mean("haeds", ["heads", "ffn"])
    "; did you mean 'heads'?"
    >>> did_you_mean("zzz", ["heads", "ffn"])
    ''
    """
    near = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
