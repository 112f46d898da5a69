"""How much memory this process has, and the most it ever had."""

from __future__ import annotations

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident_bytes() -> int:
    """Returns the resident set of this process, mapped files that were touched included."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """Returns the largest resident set of this process so far.

    Linux tells it as ``VmHWM``. `resource.getrusage` is the way elsewhere; on Linux its value may
    be inherited from the parent, which makes small children look as big as their parents.
    """
    if _STATUS.is_file():
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return resident_bytes()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024
