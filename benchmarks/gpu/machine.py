"""What the machine is: GPU, driver, clocks, libraries, and the runtimes that are usable here."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import asdict

from bertcompress.machine.environment import read_environment
from bertcompress.machine.gpus import gpus
from bertcompress.runtimes import RUNTIME_NAMES, why_unusable
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
        "runtimes": {name: usable(name) for name in RUNTIME_NAMES},
    }


def usable(runtime: str) -> str:
    """Returns ``usable``, or the sentence that says why a runtime is not."""
    if runtime not in RUNTIME_NAMES:
        return f"this source tree has no runtime {runtime}"
    return why_unusable(runtime) or "usable"


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
