"""Does the graph answer as the checkpoint does: over batch sizes, lengths and padding patterns.

The inputs are drawn (seeded) from the whole vocabulary, which is harsher than real text. Positions
that are padding are not compared: no task ever reads them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bertcompress.bert.families import longest_text
from bertcompress.errors import ParityError
from bertcompress.runtimes.fitting import follows_sequence
from bertcompress.runtimes.ort.runtime import run_graph
from bertcompress.runtimes.torch.runtime import TorchRuntime

if TYPE_CHECKING:
    import onnx
    from transformers import PreTrainedModel

Feed = dict[str, NDArray[np.int64]]

SHAPES = ((1, 2), (1, 16), (3, 7), (2, 33), (5, 64), (1, 128))
"""Batch sizes and lengths that are compared; lengths past the model's are cut to its own."""


@dataclass(frozen=True)
class ParityFigures:
    """What a step tells of a parity check.

    Attributes:
        largest_difference: Between two values of any output, absolute.
        mean_difference: Of all values.
        largest_output: The reference's largest absolute value.
        values_compared: Their number.
        batches: The number of batches run.
    """

    largest_difference: float
    mean_difference: float
    largest_output: float
    values_compared: int
    batches: int


@dataclass(frozen=True)
class Parity:
    """How far two models' outputs are apart.

    Attributes:
        figures: What is told of it.
        signal: Sum of the reference's squares.
        noise: Sum of the differences' squares.
    """

    figures: ParityFigures
    signal: float
    noise: float

    @property
    def sqnr_db(self) -> float:
        """The signal-to-quantization-noise ratio, decibels; infinite where nothing differs.

        ``10 log10(sum(y ** 2) / sum((y - y_q) ** 2))``
        """
        if self.noise > 0 and self.signal > 0:
            return 10 * math.log10(self.signal / self.noise)
        return math.inf


def parity_feeds(
    *,
    vocabulary: int,
    longest: int,
    seed: int = 0,
    shapes: Sequence[tuple[int, int]] = SHAPES,
) -> list[Feed]:
    """Draws batches: whole, padded on the right, all padding but one token, two segments."""
    generator = np.random.default_rng(seed)
    feeds = []
    for batch, length in shapes:
        length = min(length, longest)
        for lengths in _paddings(batch, length, generator):
            ids = generator.integers(0, vocabulary, (batch, length), dtype=np.int64)
            mask = (np.arange(length)[None, :] < lengths[:, None]).astype(np.int64)
            second = (np.arange(length)[None, :] >= lengths[:, None] // 2).astype(np.int64)
            feeds.append(
                {"input_ids": ids, "attention_mask": mask, "token_type_ids": second * mask}
            )
    return feeds


def _paddings(
    batch: int, length: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    yield np.full(batch, length)
    if batch > 1:
        yield generator.integers(1, length + 1, batch)
        ends = np.full(batch, length)
        ends[-1] = 1
        yield ends


def compare_outputs(
    reference: Sequence[dict[str, NDArray[np.generic]]],
    candidate: Sequence[dict[str, NDArray[np.generic]]],
    feeds: Sequence[Feed],
) -> Parity:
    """Compares two models' outputs over the same feeds, padding left out.

    Raises:
        ParityError: If a shape differs or a value is not a number.
    """
    largest, total, count, magnitude = 0.0, 0.0, 0, 0.0
    signal = noise = 0.0
    for expected, got, feed in zip(reference, candidate, feeds, strict=True):
        mask = feed["attention_mask"].astype(bool)
        for name, values in expected.items():
            if name not in got or got[name].shape != values.shape:
                shape = got[name].shape if name in got else "nothing"
                raise ParityError(f"the graph's {name} is {shape}, the model's is {values.shape}")
            a, b = values.astype(np.float64), got[name].astype(np.float64)
            if follows_sequence(name, a):
                a, b = a[mask], b[mask]
            if not np.isfinite(b).all():
                raise ParityError(f"the graph's {name} holds values that are not finite numbers")
            difference = np.abs(a - b)
            largest = max(largest, float(difference.max(initial=0.0)))
            magnitude = max(magnitude, float(np.abs(a).max(initial=0.0)))
            total += float(difference.sum())
            count += difference.size
            squares = signal_and_noise(a, b)
            signal, noise = signal + squares[0], noise + squares[1]
    mean = total / max(count, 1)
    return Parity(ParityFigures(largest, mean, magnitude, count, len(feeds)), signal, noise)


def signal_and_noise(
    expected: NDArray[np.generic], got: NDArray[np.generic]
) -> tuple[float, float]:
    """Returns the sums of the squares of what was expected and of the differences, in float64."""
    a, b = expected.astype(np.float64), got.astype(np.float64)
    return float((a**2).sum()), float(((a - b) ** 2).sum())


def check_parity(
    model: PreTrainedModel,
    graph: onnx.ModelProto,
    *,
    tolerance: float,
    seed: int = 0,
) -> Parity:
    """Compares a graph with the torch model it came from.

    Args:
        model: The reference, in evaluation mode.
        graph: Its export.
        tolerance: The largest difference allowed, relative to the largest output (at least 1).
        seed: Draws the inputs.

    Returns:
        The differences found.

    Raises:
        ParityError: If any output differs by more than the tolerance.
    """
    config = model.config
    feeds = parity_feeds(vocabulary=config.vocab_size, longest=longest_text(config), seed=seed)
    with TorchRuntime(model, threads=_threads()) as runtime:
        reference = [
            runtime.run({name: feed[name] for name in runtime.input_names}) for feed in feeds
        ]
    parity = compare_outputs(reference, run_graph(graph, list(feeds), threads=_threads()), feeds)
    figures = parity.figures
    allowed = tolerance * max(1.0, figures.largest_output)
    if figures.largest_difference > allowed:
        raise ParityError(
            f"the graph answers differently: largest difference {figures.largest_difference:.2e} "
            f"over {figures.batches} batches, allowed is {allowed:.2e}; nothing was written"
        )
    return parity


def _threads() -> int:
    import torch

    return int(torch.get_num_threads())
