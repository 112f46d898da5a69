"""Timing: runtimes take turns on the same inputs, so that a clock that drifts drifts for all.

A run is timed on the host from the call to the answer in the caller's memory, copies and waiting
included: that is what a user waits for. Torch's runs are also timed between two CUDA events, which
is the GPU's own time with the gaps between kernels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from bertcompress.errors import BertCompressError
from bertcompress.runtimes import Runtime
from bertcompress.runtimes.base import Arrays
from gpu.steps import Facts

WARM_UP = 3
LEAST, MOST = 5, 400
"""Runs of each runtime on each shape, by the time there is."""

REFUSALS = (BertCompressError, RuntimeError, ValueError)
"""How a runtime says that it can't run a batch."""

_BURST_S = 0.02


@dataclass
class Samples:
    """Seconds of single runs."""

    host_s: list[float] = field(default_factory=list)
    device_s: list[float] = field(default_factory=list)

    def facts(self, *, texts: int, tokens: int) -> Facts:
        """Returns the percentiles and rates.

        Args:
            texts: In one run.
            tokens: Real ones, in one run.
        """
        host = np.asarray(self.host_s)
        p50, p95, p99 = (float(np.percentile(host, one)) for one in (50, 95, 99))
        made: Facts = {
            "runs": len(host),
            "p50_ms": round(p50 * 1e3, 4),
            "p95_ms": round(p95 * 1e3, 4),
            "p99_ms": round(p99 * 1e3, 4),
            "texts_per_s": round(texts / p50, 1),
            "tokens_per_s": round(tokens / p50, 1),
        }
        if self.device_s:
            made["device_p50_ms"] = round(float(np.percentile(self.device_s, 50)) * 1e3, 4)
        return made


def time_in_turns(
    runtimes: Mapping[str, Runtime], feed: Arrays, *, budget_s: float
) -> tuple[dict[str, Samples], dict[str, str]]:
    """Times each runtime on one batch.

    Args:
        runtimes: Opened.
        feed: All inputs that any of them takes.
        budget_s: About how long all of it may take; everyone runs `LEAST` times in any case.

    Returns:
        The samples of each, and for those that refused the batch the reason.
    """
    samples: dict[str, Samples] = {}
    refused: dict[str, str] = {}
    taken = {name: _taken(one, feed) for name, one in runtimes.items()}
    bursts: dict[str, int] = {}
    ends = time.monotonic() + budget_s
    for name, runtime in runtimes.items():
        try:
            for _ in range(WARM_UP):
                once = _seconds(lambda run=runtime, given=taken[name]: run.run(given))
        except REFUSALS as error:
            refused[name] = f"{type(error).__name__}: {(str(error).strip() or '?').splitlines()[0]}"
            continue
        samples[name] = Samples()
        bursts[name] = max(1, min(50, int(_BURST_S / max(once, 1e-6))))
    while samples and _unfinished(samples, ends):
        for name, kept in samples.items():
            runtime, given = runtimes[name], taken[name]
            for _ in range(bursts[name]):
                _measure(runtime, given, kept)
    return samples, refused


def _unfinished(samples: Mapping[str, Samples], ends: float) -> bool:
    fewest = min(len(one.host_s) for one in samples.values())
    return fewest < LEAST or (fewest < MOST and time.monotonic() < ends)


def _measure(runtime: Runtime, feed: Arrays, kept: Samples) -> None:
    if not runtime.name.startswith("torch-cuda"):
        kept.host_s.append(_seconds(lambda: runtime.run(feed)))
        return
    import torch

    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    kept.host_s.append(_seconds(lambda: runtime.run(feed)))
    end.record()
    end.synchronize()
    kept.device_s.append(begin.elapsed_time(end) * 1e-3)


def _taken(runtime: Runtime, feed: Arrays) -> Arrays:
    return {name: feed[name] for name in runtime.input_names}


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - started) * 1e-9
