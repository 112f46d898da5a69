"""What a runtime is: arrays in, arrays out; what all of them check.

A runtime is a context manager, so that nothing is loaded before it is entered and all is given
back when it is left; several can be compared one after the other without disturbing each other.
`FakeRuntime` is part of the product: tests of everything above the runtimes use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import RunError
from bertcompress.runtimes.fitting import Fitting, ModelFacts, fitting_of

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class TensorSpec:
    """An input of a model.

    Attributes:
        name: Its name.
        dtype: NumPy's name of its element type, None for one that NumPy lacks.
        shape: Its axes: a size, the name of one that varies, or None where that has no name.
            Empty if nothing is known of it.
    """

    name: str
    dtype: str | None = "int64"
    shape: tuple[int | str | None, ...] = ("batch", "sequence")


def token_inputs(names: Iterable[str]) -> tuple[TensorSpec, ...]:
    """Returns the inputs of an encoder: int64 ``[batch, sequence]`` each."""
    return tuple(TensorSpec(name) for name in names)


class Runtime(Protocol):
    """Runs one artifact.

    Attributes:
        name: What ran: ``ort-cpu``, ``torch-cpu``, … as reports print it.
        inputs: The inputs that the model takes.
        outputs: The names of the outputs that `run` returns.
        longest: The tokens of the longest text that it takes; None if nobody says.
        needs_padding: Whether padded positions are computed; not where texts are packed.
        max_batch: The most texts that it takes at once; None for any number.
    """

    @property
    def name(self) -> str:
        """What ran, as reports print it."""
        ...

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs; known once entered."""
        ...

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs; known once entered."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs; known once entered."""
        ...

    @property
    def longest(self) -> int | None:
        """The tokens of the longest text; known once entered."""
        ...

    @property
    def needs_padding(self) -> bool:
        """Whether padded positions are computed."""
        ...

    @property
    def max_batch(self) -> int | None:
        """The most texts at once."""
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


class CheckedRuntime:
    """What all runtimes share: they are open or not, and are fed what their model takes.

    A runtime calls `_open_for` when it is entered and `_close` when it is left, and gives `_run`.
    """

    library = "the runtime"
    """What messages call it."""

    runs = "the graph"
    """What messages call that which it runs."""

    casts_integers = False
    """Whether integers of other widths are taken too."""

    one_shape = False
    """Whether all inputs have to be of one shape."""

    def __init__(self, model: ModelFacts | None = None) -> None:
        self._model_facts = model
        self._fitting: Fitting | None = None
        self.inputs: tuple[TensorSpec, ...] = ()
        self.outputs: tuple[str, ...] = ()
        self._output_names: tuple[str, ...] = ()
        self.longest: int | None = None
        self.needs_padding = True
        self.max_batch: int | None = None
        self._expected: dict[str, tuple[np.dtype[np.generic] | None, int]] | None = None

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs; known once entered."""
        return tuple(spec.name for spec in self.inputs)

    def run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        """Runs one batch; the arrays returned are the caller's own.

        Raises:
            RunError: If the runtime was not entered, or the inputs are not those of its model.
        """
        self._check_open()
        self._check(feed)
        if self._fitting is not None:
            return self._fitting.run(feed, self._run)
        return self._run(feed)

    def _run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        """Runs one batch that was checked."""
        raise NotImplementedError

    def _open_for(self, inputs: Iterable[TensorSpec], outputs: Iterable[str]) -> None:
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self._output_names = self.outputs  # as the graph has them
        if self._model_facts is not None:
            self._fit(self._model_facts)
        self._expected = {
            spec.name: (np.dtype(spec.dtype) if spec.dtype else None, len(spec.shape))
            for spec in self.inputs
        }

    def _fit(self, model: ModelFacts) -> None:
        """Shows what tasks give and read, where the graph declares another form of it."""
        declared = {spec.name: (spec.dtype, spec.shape) for spec in self.inputs}
        fitting = self._fitting = fitting_of(declared, self.outputs, model)
        if fitting is None:
            return
        others = {spec.name: spec for spec in self.inputs if spec.name not in fitting.roles}
        self.inputs = tuple(others.get(name, TensorSpec(name)) for name in fitting.offered)
        self.outputs = tuple(fitting.renamed.get(name, name) for name in self.outputs)
        if fitting.sequence is not None:
            self.longest = min(self.longest or fitting.sequence, fitting.sequence)

    def _close(self) -> None:
        self._expected = None

    def _check_open(self) -> None:
        if self._expected is None:
            raise RunError("the runtime is not open; use it in a 'with' block")

    def _check(self, feed: Arrays) -> None:
        expected = self._expected or {}
        if feed.keys() != expected.keys():
            raise RunError(
                f"{self.library} was given the inputs {', '.join(feed) or 'none'}; "
                f"{self.runs} takes {', '.join(expected)}"
            )
        shapes = set()
        for name, (dtype, rank) in expected.items():
            values = np.asarray(feed[name])
            if values.dtype != dtype and dtype is not None:
                self._check_dtype(name, values.dtype, dtype)
            if rank and values.ndim != rank:
                raise RunError(f"{self.library} refused the inputs: {self._shapes_of(feed)}")
            shapes.add(values.shape)
        if self.one_shape and len(shapes) > 1:
            raise RunError(
                f"{self.library} was given inputs of different shapes: {self._shapes_of(feed)}"
            )

    def _check_dtype(
        self, name: str, given: np.dtype[np.generic], wanted: np.dtype[np.generic]
    ) -> None:
        if self.casts_integers and given.kind == "i":
            return
        kind = "integers" if self.casts_integers else wanted
        raise RunError(f"{self.library} refused the inputs: {name} must be {kind}, got {given}")

    def _shapes_of(self, feed: Arrays) -> str:
        """Returns the end of a sentence: what shapes there have to be, and which there are."""
        given = ", ".join(f"{name} {np.shape(feed[name])}" for name in feed)
        axes = [", ".join(str(axis or "any") for axis in spec.shape) for spec in self.inputs]
        if len(set(axes)) == 1:
            return f"they must all be [{axes[0]}], got {given}"
        wanted = ", ".join(
            f"{name} [{shape}]" for name, shape in zip(self.input_names, axes, strict=True)
        )
        return f"they must be {wanted}, got {given}"


class FakeRuntime(CheckedRuntime):
    """Answers with a function of the feed; for tests of what stands on runtimes. Always open."""

    name = "fake"
    library = "the fake"

    def __init__(
        self,
        answer: Callable[[Arrays], dict[str, NDArray[np.generic]]],
        *,
        outputs: tuple[str, ...],
    ) -> None:
        super().__init__()
        self._answer = answer
        self._open_for(token_inputs(("input_ids", "attention_mask", "token_type_ids")), outputs)
        self.calls = 0

    def _run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
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
