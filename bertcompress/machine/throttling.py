"""How often the container's CPU quota stopped us: the counters of the cgroup.

A quota gives a group of processes so much CPU time in each period; what wants more stands still
until the next. Timings taken then measure the quota, not the model.

Source: Documentation/admin-guide/cgroup-v2.rst of the Linux kernel, "cpu.stat"; version 1 has the
same two names in ``cpu/cpu.stat``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_FILES = (Path("/sys/fs/cgroup/cpu.stat"), Path("/sys/fs/cgroup/cpu/cpu.stat"))


@dataclass(frozen=True)
class Throttling:
    """Counters since the group was made.

    Attributes:
        periods: Periods in which the group wanted CPU time.
        throttled: Those in which the quota stopped it.
    """

    periods: int
    throttled: int


def read_throttling(files: tuple[Path, ...] = _FILES) -> Throttling | None:
    """Returns the counters, None where there is no such file."""
    for file in files:
        if not file.is_file():
            continue
        words = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
        counts = {pair[0]: int(pair[1]) for pair in words if len(pair) == 2}
        if "nr_periods" in counts and "nr_throttled" in counts:
            return Throttling(counts["nr_periods"], counts["nr_throttled"])
    return None


def throttled_between(before: Throttling | None, after: Throttling | None) -> float | None:
    """Returns the share of the periods that were cut short; 0 where there is no quota."""
    if before is None or after is None:
        return None
    periods = after.periods - before.periods
    return (after.throttled - before.throttled) / periods if periods > 0 else 0.0
