"""How long tokenizing takes: the part of an answer that no model can shorten."""

from __future__ import annotations

import time

import numpy as np

from bertcompress.bench.variant import Subject

WARM_UP_EXAMPLES = 20


def time_tokenization(subject: Subject, *, count: int, seed: int) -> tuple[float, ...]:
    """Returns the seconds of tokenizing single examples, drawn anew; none without a tokenizer.

    Args:
        subject: Holds the examples and what tokenizes one.
        count: How many are timed.
        seed: Draws them.
    """
    if subject.tokenize is None:
        return ()
    examples = subject.dataset.examples
    generator = np.random.default_rng(seed)
    drawn = [examples[i] for i in generator.integers(0, len(examples), count + WARM_UP_EXAMPLES)]
    seconds = []
    for example in drawn:
        started = time.perf_counter_ns()
        subject.tokenize(example)
        seconds.append((time.perf_counter_ns() - started) * 1e-9)
    return tuple(round(second, 8) for second in seconds[WARM_UP_EXAMPLES:])
