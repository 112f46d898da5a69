"""What a runtime ran, as its own profiler told it (`bertcompress.profiling.profile_run`)."""

from __future__ import annotations

from dataclasses import dataclass

Seconds = tuple[float, ...]


@dataclass(frozen=True)
class RanNode:
    """One operator that ran.

    Attributes:
        name: Its name in the graph that the runtime made.
        kind: Its type, as the runtime calls it.
        kernel: The code that ran, where the runtime tells; else its type again.
        module: The module whose product it is, None for all else.
        precision: What the product multiplied with what, None for all else.
        is_attention: Whether it multiplies two activations and no weight.
        seconds: Of each run.
    """

    name: str
    kind: str
    kernel: str
    module: str | None
    precision: str | None
    is_attention: bool
    seconds: Seconds


@dataclass(frozen=True)
class ProfiledRun:
    """What ran.

    Attributes:
        runtime: The runtime's name.
        nodes: Every operator that took time, in the order they first ran.
        run_s: Seconds of each whole run, the profiler's work included.
        plain_s: Seconds of each whole run without a profiler, on the same inputs.
    """

    runtime: str
    nodes: tuple[RanNode, ...]
    run_s: Seconds
    plain_s: Seconds
