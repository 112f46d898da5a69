"""Energy of the processor package, where the machine tells it (RAPL through powercap).

The counters are ``/sys/class/powercap/intel-rapl:N/energy_uj``, microjoules that wrap around at
``max_energy_range_uj``; AMD processors have them under the same name. Most systems let only root
read them and most virtual machines have none: then the energy is not available, and the report
says so. The counters see the whole package, so a neighbour's work is in them too; variants take
turns, so the neighbour costs them all the same.

Source: Documentation/power/powercap/powercap.rst of the Linux kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Counter:
    """One package's counter, microjoules, and where it wraps around."""

    energy: int
    wraps_at: int


def read_energy(root: Path = POWERCAP) -> tuple[Counter, ...] | None:
    """Returns the counter of each package, None where there is none or it may not be read."""
    found = []
    for zone in sorted(root.glob("intel-rapl:*")):
        try:
            if not (zone / "name").read_text(encoding="utf-8").startswith("package"):
                continue
            energy, wraps_at = (
                int((zone / name).read_text(encoding="utf-8"))
                for name in ("energy_uj", "max_energy_range_uj")
            )
        except (OSError, ValueError):
            return None
        found.append(Counter(energy, wraps_at))
    return tuple(found) or None


def joules_between(
    before: Sequence[Counter] | None, after: Sequence[Counter] | None
) -> float | None:
    """Returns the energy used between two readings, None where one of them failed."""
    if before is None or after is None or len(before) != len(after):
        return None
    used = 0
    for first, second in zip(before, after, strict=True):
        difference = second.energy - first.energy
        used += difference if difference >= 0 else difference + second.wraps_at
    return used * 1e-6
