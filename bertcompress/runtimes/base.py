"""What a runtime is: arrays in, arrays out.

A runtime is a context manager, so that nothing is loaded before it is entered and all is given
back when it is left; several can be compared one after the other without disturbing each other.
`FakeRuntime` is part of the product: tests of everything above the runtimes use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.generic]]

SPAN_OUTPUTS = ("start_logits", "end_logits")
"""Outputs of shape [batch, sequence]; all others that follow the sequence have a third axis."""


def follows_sequence(name: str, values: NDArray[np.generic]) -> bool:
    """Whether an output has one entry a token, in its second axis."""
    return name in SPAN_OUTPUTS or values.ndim >= 3


class Runtime(Protocol):
    """Runs one artifact.

    Attributes:
        name: What ran: ``ort-cpu``, ``torch-cpu``, … as reports print it.
        inputs: The names of the inputs the model takes.
        outputs: The names of the outputs that `run` returns.
    """

    @property
    def name(self) -> str:
        """What ran, as reports print it."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs; known once entered."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs; known once entered."""
        ...

    def run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        """Runs one batch; the arrays returned are the caller's own."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class SharedRuntime(Runtime, Protocol):
    """A runtime whose weights serve several streams."""

    def another(self) -> Runtime:
        """Returns one more stream of the opened runtime, not entered yet."""
        ...


class FakeRuntime:
    """Answers with a function of the feed; for tests of what stands on runtimes."""

    name = "fake"

    def __init__(
        self,
        answer: Callable[[Arrays], dict[str, NDArray[np.generic]]],
        *,
        outputs: tuple[str, ...],
    ) -> None:
        self._answer = answer
        self.inputs: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids")
        self.outputs = outputs
        self.calls = 0

    def run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        """Returns the function's answer and counts the call."""
        self.calls += 1
        return self._answer(feed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None
