"""Feeds a graph what it declares: other types, other names, one shape, a text at a time.

Tasks make int64 arrays ``[batch, sequence]`` under the names of Transformers. Graphs of other
exporters may want int32, call the mask ``input_mask``, count no positions themselves, have been
traced with one shape, or take no mask at all. They are given the same ids in the form they want, so
that their answers are the runtime's own:

| declared | what is done |
|---|---|
| another type | values are cast; floats of 16 bits that come out become float32 |
| other names | see `bertcompress.graph.signature` |
| ``position_ids`` | counted from the first position that the model's family has |
| segments that its family does not use | zeros |
| a batch of so many | batches are split and filled up |
| a sequence of so many | texts are padded to it, and cut again; longer ones are refused |
| no mask | only texts of one length share a run, without padding |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import RunError
from bertcompress.graph.signature import (
    INPUT_IDS,
    MASK,
    POSITIONS,
    SEGMENTS,
    check_inputs,
    check_outputs,
)

Arrays = Mapping[str, NDArray[np.generic]]
Outputs = dict[str, NDArray[np.generic]]

_ROLES = (INPUT_IDS, MASK, SEGMENTS)
_PLAIN = "int64"

SPAN_OUTPUTS = ("start_logits", "end_logits")
"""Outputs of shape [batch, sequence]; all others that follow the sequence have a third axis."""


def follows_sequence(name: str, values: NDArray[np.generic]) -> bool:
    """Whether an output has one entry a token, in its second axis."""
    return name in SPAN_OUTPUTS or values.ndim >= 3


@dataclass(frozen=True)
class ModelFacts:
    """What has to be known of a model, beside what its graph declares.

    Attributes:
        name: What messages call its graph.
        task: Its task; None for a graph in memory, which has our names.
        segments: Whether tasks give segments for it.
        first_position: The number of the first token's position.
    """

    name: str = "the graph"
    task: str | None = None
    segments: bool = True
    first_position: int = 0


IN_MEMORY = ModelFacts()
"""Of a graph that was loaded: it has our names and computes its positions."""


@dataclass(frozen=True)
class Fitting:
    """How what tasks make becomes what a graph declares.

    Attributes:
        model: What is known of the model.
        dtypes: The type of each input, by the graph's name of it.
        roles: Our name of each input that is an encoder's, by the graph's name of it.
        renamed: Our name of each output that has another in the graph.
        batch: The texts of a run, where the graph has a fixed number.
        sequence: The tokens of a text, where the graph has a fixed number.
    """

    model: ModelFacts
    dtypes: Mapping[str, np.dtype[np.generic] | None]
    roles: Mapping[str, str]
    renamed: Mapping[str, str]
    batch: int | None
    sequence: int | None

    @property
    def offered(self) -> tuple[str, ...]:
        """The names under which tasks give the inputs, those that are no encoder's as they are."""
        taken = {*self.roles.values(), MASK}  # lengths are read from the mask
        if not self.model.segments:
            taken.discard(SEGMENTS)
        others = (name for name in self.dtypes if name not in self.roles)
        return (*(role for role in _ROLES if role in taken), *others)

    def run(self, feed: Arrays, run: Callable[[Arrays], Outputs]) -> Outputs:
        """Runs one batch in as many runs as the graph needs; the outputs have our names.

        Args:
            feed: Under the names that are `offered`.
            run: Takes what the graph declares.

        Raises:
            RunError: A text is longer than the graph takes, or shorter than one without a mask.
        """
        texts, tokens = feed[INPUT_IDS].shape
        mask = feed.get(MASK, np.ones((texts, tokens), np.int64))
        found: dict[str, NDArray[np.generic]] = {}
        for rows, length in self._parts(np.asarray(mask)):
            outputs = run(self._declared(feed, mask, rows, length))
            for name, values in outputs.items():
                ours = self.renamed.get(name, name)
                whole = values.astype(np.float32) if values.dtype == np.float16 else values
                cut = _cut(ours, whole, len(rows), length, self.sequence or length, tokens)
                if ours not in found:
                    found[ours] = np.zeros((texts, *cut.shape[1:]), cut.dtype)
                found[ours][rows] = cut
        return found

    def _parts(self, mask: NDArray[np.generic]) -> Iterator[tuple[NDArray[np.int64], int]]:
        """Yields which texts share a run, and of how many tokens."""
        texts, tokens = mask.shape
        lengths = np.full(texts, tokens)
        if MASK not in self.roles.values():
            lengths = mask.astype(np.int64).sum(axis=1)
        elif self.sequence is not None and tokens > self.sequence:  # padding may be cut
            lengths = np.full(texts, int(mask.astype(np.int64).sum(axis=1).max()))
        for length in np.unique(lengths):
            self._check_length(int(length))
            rows = np.flatnonzero(lengths == length)
            size = self.batch or len(rows)
            for start in range(0, len(rows), size):
                yield rows[start : start + size], int(length)

    def _check_length(self, length: int) -> None:
        fixed, has_mask = self.sequence, MASK in self.roles.values()
        if fixed is None or length == fixed or (has_mask and length < fixed):
            return
        if has_mask:
            raise RunError(
                f"{self.model.name} takes texts of {fixed} tokens, got {length}; cut them with "
                f"--max-length {fixed}, or export the model with a sequence axis of any size"
            )
        raise RunError(
            f"{self.model.name} takes texts of exactly {fixed} tokens and no mask, got {length}; "
            "export the model with an attention_mask, or with a sequence axis of any size"
        )

    def _declared(
        self, feed: Arrays, mask: NDArray[np.generic], rows: NDArray[np.int64], length: int
    ) -> Outputs:
        """Returns the inputs of one run, as the graph declares them."""
        shape = (self.batch or len(rows), self.sequence or length)
        taken: Outputs = {}
        for name, dtype in self.dtypes.items():
            role = self.roles.get(name)
            if role is None:
                taken[name] = np.asarray(feed[name])
                continue
            values = np.zeros(shape, np.int64)
            if role == POSITIONS:
                values += np.arange(shape[1]) + self.model.first_position
            elif role == MASK:
                values[: len(rows), :length] = mask[rows, :length]
                values[len(rows) :, 0] = 1  # the softmax over nothing has no value
            elif role in feed:
                values[: len(rows), :length] = feed[role][rows, :length]
            taken[name] = values if dtype is None else values.astype(dtype)
        return taken


def fitting_of(
    inputs: Mapping[str, tuple[str | None, tuple[int | str | None, ...]]],
    outputs: Sequence[str],
    model: ModelFacts,
) -> Fitting | None:
    """Returns how a graph is fed, None where it takes what tasks make and gives what they read.

    Args:
        inputs: NumPy's name of the type, None for one that it lacks, and the axes, of each input.
        outputs: Their names.
        model: What is known of the model.

    Raises:
        LoadError: It is not known what an input or an output is.
        RunError: An input has axes that no encoder's has.
    """
    names = [*inputs]
    if model.task is None:
        roles, renamed = {name: name for name in names if name in _ROLES}, {}
        if INPUT_IDS not in roles.values():
            return None
    else:
        roles = check_inputs(names, model.name)
        renamed = check_outputs(model.task, outputs, model.name)
    for name in roles:
        _check_axes(model.name, name, inputs[name])
    sizes = [inputs[name][1] for name in roles if inputs[name][1]]
    fitting = Fitting(
        model,
        {name: None if dtype is None else np.dtype(dtype) for name, (dtype, _) in inputs.items()},
        roles,
        renamed,
        _fixed(sizes, 0),
        _fixed(sizes, 1),
    )
    has_ours = all(old == new for old, new in (*roles.items(), *renamed.items()))
    is_plain = (
        has_ours
        and {INPUT_IDS, MASK} <= {*roles.values()} <= {*_ROLES}
        and (model.segments or SEGMENTS not in roles.values())
        and all(inputs[name][0] == _PLAIN for name in roles)
        and fitting.batch is None
        and fitting.sequence is None
    )
    return None if is_plain else fitting


def _check_axes(
    graph: str, name: str, spec: tuple[str | None, tuple[int | str | None, ...]]
) -> None:
    dtype, axes = spec
    numeric = dtype is not None and np.dtype(dtype).kind in "iufb"
    if not numeric or len(axes) not in (0, 2):
        shown = ", ".join(str(axis or "any") for axis in axes)
        raise RunError(
            f"{graph} takes {name} as {dtype or 'an unknown type'} [{shown}], an encoder's is "
            "[batch, sequence] of integers; export the model with such inputs"
        )


def _fixed(sizes: Sequence[tuple[int | str | None, ...]], axis: int) -> int | None:
    numbers = [size[axis] for size in sizes]
    return next((size for size in numbers if isinstance(size, int)), None)


def _cut(
    name: str, values: NDArray[np.generic], texts: int, length: int, padded: int, tokens: int
) -> NDArray[np.generic]:
    """Returns a run's output without what fills it up, but its tokens as many as the batch's."""
    values = values[:texts]
    follows = follows_sequence(name, values) and values.shape[1] == padded
    if not follows:
        return values
    whole = np.zeros((texts, tokens, *values.shape[2:]), values.dtype)
    whole[:, :length] = values[:, :length]
    return whole
