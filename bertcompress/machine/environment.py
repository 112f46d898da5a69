"""The machine a report was made on: what decides its figures, and nothing that names its owner.

No host name, no user name, no path. Library versions come from package metadata, so that nothing
heavy is imported to ask for them.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from bertcompress.machine.cpu import cpu_facts, cpu_flags

LIBRARIES = (
    "bertcompress",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "tensorrt",
    "tokenizers",
    "torch",
    "transformers",
)

_CGROUP_MAX = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")


@dataclass(frozen=True)
class Environment:
    """The machine and the software.

    Attributes:
        date: When it was read, UTC, ISO 8601.
        cpu_model: As the system calls it.
        cpu_flags: Those of `bertcompress.machine.cpu.FLAGS` (or their Arm counterparts) that the
            CPU has.
        logical_cpus: Of the whole machine.
        physical_cpus: Cores of the whole machine, None where unknown.
        affinity_cpus: Those this process may use.
        quota_cpus: The cgroup's CPU quota in CPUs, None if there is no limit.
        threads: The threads each runtime was given.
        load_before: CPUs that others kept busy in the second before the run started. (The load
            average would count what led up to the run: training, building the variants.)
        memory_bytes: Of the machine.
        available_bytes: Free for use when the run started.
        steal_fraction: CPU time that the hypervisor took while the run lasted, None if unknown.
        busy_fraction: CPU time of the machine that was in use during the run, None if unknown.
        governor: The CPU frequency governor, None if the system does not tell.
        system: Operating system, kernel release and machine type.
        python: Implementation and version.
        libraries: Installed versions by distribution name.
        thread_variables: OMP_NUM_THREADS and the like, as the measured processes saw them.
        load_after: The load when the run ended, the run itself included.
        throttled_fraction: The share of the cgroup's periods in which its CPU quota stopped the
            run, None if unknown.
    """

    date: str
    cpu_model: str
    cpu_flags: tuple[str, ...]
    logical_cpus: int
    physical_cpus: int | None
    affinity_cpus: int
    quota_cpus: float | None
    threads: int
    load_before: float | None
    memory_bytes: int
    available_bytes: int
    steal_fraction: float | None
    busy_fraction: float | None
    governor: str | None
    system: str
    python: str
    libraries: Mapping[str, str]
    thread_variables: Mapping[str, str]
    load_after: float | None = None
    throttled_fraction: float | None = None


@dataclass(frozen=True)
class CpuTimes:
    """Ticks since boot over all CPUs: total, idle and stolen by the hypervisor."""

    total: int
    idle: int
    steal: int


def available_threads() -> int:
    """Returns how many threads are worth starting: affinity, cores and cgroup quota, the least."""
    counts = [_affinity_count()]
    physical, quota = _physical_cpus(), _quota_cpus()
    if physical:
        counts.append(physical)
    if quota:
        counts.append(max(1, int(quota)))
    return min(counts)


def read_environment(*, threads: int, thread_variables: Mapping[str, str]) -> Environment:
    """Reads the machine as it is now; what only the end of a run can tell is added there."""
    import psutil

    memory = psutil.virtual_memory()
    return Environment(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        cpu_model=cpu_model(),
        cpu_flags=cpu_flags(),
        logical_cpus=os.cpu_count() or 1,
        physical_cpus=_physical_cpus(),
        affinity_cpus=_affinity_count(),
        quota_cpus=_quota_cpus(),
        threads=threads,
        load_before=None,
        memory_bytes=int(memory.total),
        available_bytes=int(memory.available),
        steal_fraction=None,
        busy_fraction=None,
        governor=_first_line(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libraries=library_versions(*LIBRARIES),
        thread_variables=dict(thread_variables),
    )


def read_cpu_times() -> CpuTimes | None:
    """Returns the CPU ticks so far, None where ``/proc/stat`` is not there."""
    line = _first_line(Path("/proc/stat"))
    if line is None:
        return None
    ticks = [int(tick) for tick in line.split()[1:9]]
    ticks += [0] * (8 - len(ticks))
    return CpuTimes(total=sum(ticks), idle=ticks[3] + ticks[4], steal=ticks[7])


def shares_between(before: CpuTimes | None, after: CpuTimes | None) -> tuple[float, float] | None:
    """Returns the busy and the stolen share of the CPU time between two readings."""
    if before is None or after is None or after.total <= before.total:
        return None
    total = after.total - before.total
    busy = 1.0 - (after.idle - before.idle) / total
    return busy, (after.steal - before.steal) / total


def busy_cpus() -> float | None:
    """Returns how many CPUs others keep busy while this process sleeps; None where unknown."""
    before = read_cpu_times()
    time.sleep(1.0)
    shares = shares_between(before, read_cpu_times())
    return None if shares is None else round(shares[0] * (os.cpu_count() or 1), 2)


def load_average() -> float | None:
    """Returns the runnable processes over the last minute, None where the system has no such."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def cpu_model() -> str:
    """Returns the CPU's name, as the system calls it."""
    fields = cpu_facts()
    return fields.get("model name") or platform.processor() or platform.machine() or "unknown"


def library_versions(*names: str) -> dict[str, str]:
    """Returns the installed versions of the named distributions, without importing them."""
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _physical_cpus() -> int | None:
    import psutil

    count = psutil.cpu_count(logical=False)
    return int(count) if count else None


def _affinity_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota_cpus() -> float | None:
    line = _first_line(_CGROUP_MAX)
    if line is not None:
        quota, _, period = line.partition(" ")
        return None if quota == "max" else int(quota) / int(period or 100_000)
    quota_v1 = _first_line(_CGROUP_V1 / "cpu.cfs_quota_us")
    period_v1 = _first_line(_CGROUP_V1 / "cpu.cfs_period_us")
    if quota_v1 is None or period_v1 is None or int(quota_v1) <= 0:
        return None
    return int(quota_v1) / int(period_v1)


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").split("\n", 1)[0].strip()
    except OSError:
        return None
