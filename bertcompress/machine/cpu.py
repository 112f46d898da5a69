"""What this machine's CPU can do, as the system tells."""

from __future__ import annotations

from pathlib import Path

from bertcompress.errors import UsageError, did_you_mean

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
"""Instruction sets that decide which integer kernels a runtime picks on x64."""

ARM_FLAGS = ("asimd", "asimddp", "i8mm", "bf16", "sve")

TARGETS = {
    "avx2": ("avx2",),
    "avx512": ("avx2", "avx512f"),
    "vnni": ("avx2", "avx512f", "avx512_vnni"),
    "arm": ("asimd", "asimddp"),
}
"""The machines that a graph can be made for elsewhere, by what decides about their integer sums."""

_WIDE_SUMS = ("avx512_vnni", "avx_vnni", "amx_int8", *ARM_FLAGS)


def cpu_flags() -> tuple[str, ...]:
    """Returns those of `FLAGS` and `ARM_FLAGS` that the CPU has."""
    fields = cpu_facts()
    present = set((fields.get("flags") or fields.get("Features") or "").split())
    return tuple(flag for flag in (*FLAGS, *ARM_FLAGS) if flag in present)


def target_flags(target: str | None) -> tuple[str, ...]:
    """Returns what a machine of `TARGETS` has; None stands for this CPU.

    Raises:
        UsageError: If there is no such target.
    """
    if target is None:
        return cpu_flags()
    if target not in TARGETS:
        raise UsageError(
            f"target must be one of {', '.join(TARGETS)}, got {target!r}"
            + did_you_mean(str(target), TARGETS)
        )
    return TARGETS[target]


def saturates(flags: tuple[str, ...]) -> bool:
    """Says whether products of U8 and S8 are added in pairs of 16 bits, which can overflow.

    They are on x64 without VNNI (``VPMADDUBSW``): 255 · 127 · 2 does not fit, 255 · 63 · 2 does.

    >>> saturates(("avx2", "avx512f")), saturates(("avx2", "avx_vnni")), saturates(())
    (True, False, False)

    Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
    """
    return "avx2" in flags and not set(_WIDE_SUMS).intersection(flags)


def cpu_facts() -> dict[str, str]:
    """Returns the first CPU's lines of ``/proc/cpuinfo``; none where there is no such file."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    first_cpu = path.read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first_cpu.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
