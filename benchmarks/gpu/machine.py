"""What the machine is: GPU, driver, clocks, libraries, and the runtimes that are usable here."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import asdict

from bertcompress.bench.environment import read_environment
from bertcompress.errors import MissingError
from bertcompress.runtimes.catalog import CATALOG
from bertcompress.runtimes.nvidia import gpus
from gpu.steps import Facts

_ASKED = (
    *("name", "driver_version", "persistence_mode", "power.limit", "clocks.sm", "clocks.mem"),
    *("clocks.max.sm", "temperature.gpu", "utilization.gpu", "clocks_event_reasons.active"),
)


def machine_facts(*, threads: int) -> Facts:
    """Returns the facts that decide the figures."""
    environment = read_environment(threads=threads, thread_variables={})
    return {
        "gpus": [asdict(one) for one in gpus()],
        "nvidia_smi": smi_facts(),
        "libraries": dict(environment.libraries),
        "torch_cuda": _torch_cuda(),
        "python": environment.python,
        "system": environment.system,
        "cpu": environment.cpu_model,
        "cpus": environment.affinity_cpus,
        "date": environment.date,
        "runtimes": {entry.name: usable(entry.name) for entry in CATALOG},
    }


def usable(runtime: str) -> str:
    """Returns ``usable``, or the sentence that says why a runtime is not."""
    entry = next(one for one in CATALOG if one.name == runtime)
    try:
        entry.check()
    except MissingError as error:
        return str(error)
    return "usable"


def smi_facts() -> Facts:
    """Returns what ``nvidia-smi`` says now of the first GPU; empty without it."""
    if shutil.which("nvidia-smi") is None:
        return {}
    command = ["nvidia-smi", f"--query-gpu={','.join(_ASKED)}", "--format=csv,noheader"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if found.returncode:
        return {}
    values = found.stdout.splitlines()[0].split(",")
    return {name: value.strip() for name, value in zip(_ASKED, values, strict=False)}


def _torch_cuda() -> str | None:
    import torch

    return torch.version.cuda
