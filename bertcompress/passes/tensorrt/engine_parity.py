"""Does an engine answer as its graph says: over its profiles, padding patterns and ways to run.

The reference is the very same graph in ONNX Runtime on the CPU, each operator's result rounded as
the graph says. Kernels sum in another order, and with 8 bits a value at the border of two steps
may fall to either side, so the bounds are relative to the largest answer and differ by precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertcompress.artifacts.artifact import Engine
from bertcompress.artifacts.engine_record import Profile
from bertcompress.errors import ParityError
from bertcompress.graph.half import emulated
from bertcompress.parity.outputs import ParityFigures, compare_outputs, parity_feeds
from bertcompress.passes.tensorrt.knobs import precisions_of
from bertcompress.runtimes.ort.runtime import run_graph
from bertcompress.runtimes.tensorrt.runtime import TensorRtRuntime

EIGHT_BITS, HALF, FLOAT = 0.25, 0.05, 0.005
"""Largest difference allowed, relative to the largest answer."""

_TIMES = 3
"""Each batch runs plainly, then is recorded, then replayed."""


@dataclass(frozen=True)
class EngineFigures(ParityFigures):
    """How far an engine's answers are from its graph's.

    Attributes:
        allowed: The largest difference that was allowed.
        replayed_as_cuda_graphs: The number of batches that were.
        enqueued: The number of batches that ran plainly.
    """

    allowed: float
    replayed_as_cuda_graphs: int
    enqueued: int


def check_engine(engine: Engine, *, tolerance: float | None = None, seed: int = 0) -> EngineFigures:
    """Compares an engine's answers with its graph's.

    Args:
        engine: As it was built, for this machine.
        tolerance: The largest difference allowed, relative to the largest answer (at least 1); by
            the graph's precision if None.
        seed: Draws the inputs.

    Raises:
        ParityError: If an answer differs by more than that, or is not a finite number.
    """
    profiles = engine.record.profiles
    feeds = parity_feeds(
        vocabulary=engine.config.vocab_size,
        longest=max(profile.most[1] for profile in profiles),
        seed=seed,
        shapes=compared_shapes(profiles),
    )
    with TensorRtRuntime(engine) as runtime:
        taken = [{name: feed[name] for name in runtime.input_names} for feed in feeds]
        got = [runtime.run(feed) for feed in taken * _TIMES]
        counts = runtime.counts
    reference = run_graph(emulated(engine.graph), list(feeds), as_written=True)
    figures = compare_outputs(reference * _TIMES, got, feeds * _TIMES).figures
    allowed = (tolerance or _tolerance_of(engine)) * max(1.0, figures.largest_output)
    if figures.largest_difference > allowed:
        raise ParityError(
            f"the engine answers differently from its graph: largest difference "
            f"{figures.largest_difference:.2e} over {len(feeds)} batches, "
            f"allowed is {allowed:.2e}; nothing was written"
        )
    return EngineFigures(
        **vars(figures),
        allowed=allowed,
        replayed_as_cuda_graphs=counts.replayed,
        enqueued=counts.enqueued,
    )


def compared_shapes(profiles: Sequence[Profile]) -> tuple[tuple[int, int], ...]:
    """Returns the shapes that answers are compared at: each profile's own, in small batches.

    >>> compared_shapes([Profile((1, 1), (1, 9), (1, 16)), Profile((9, 1), (32, 9), (32, 16))])
    ((1, 1), (1, 9), (1, 16), (9, 9))
    """
    shapes = []
    for profile in profiles:
        batch = profile.least[0]
        every = profile.least, profile.opt, profile.most
        lengths = [shape[1] for shape in (every if batch == 1 else (profile.opt,))]
        shapes += [(batch, length) for length in lengths]
    return tuple(dict.fromkeys(shapes))


def _tolerance_of(engine: Engine) -> float:
    precisions = precisions_of(engine.source)
    if precisions.int8:
        return EIGHT_BITS
    return HALF if precisions.fp16 else FLOAT
