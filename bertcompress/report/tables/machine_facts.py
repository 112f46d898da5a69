"""Where and on what a report was measured."""

from __future__ import annotations

from bertcompress.formatting import bytes_text
from bertcompress.machine.environment import Environment
from bertcompress.report.schema import Report
from bertcompress.report.tables.blocks import Table, text_table
from bertcompress.report.variant_summary import joules_per_sentence


def machine_facts(report: Report) -> Table:
    """Returns the environment and the data as names and texts, in reading order."""
    machine, data, settings = report.environment, report.dataset, report.settings
    libraries = ", ".join(f"{name} {version}" for name, version in machine.libraries.items())
    memory = f"{bytes_text(machine.memory_bytes)}, {bytes_text(machine.available_bytes)} free"
    lengths = f"median {data.length_median} tokens, nine in ten up to {data.length_p90}"
    rounds = f"{settings.rounds} rounds of fresh processes, {settings.requests} single sentences"
    quota = "no limit" if machine.quota_cpus is None else f"{machine.quota_cpus:g} CPUs"
    facts = [
        ("Date", machine.date),
        ("Processor", machine.cpu_model),
        ("Instruction sets", ", ".join(machine.cpu_flags) or "none of those that matter"),
        ("Cores", _cores(machine)),
        ("Threads of each runtime", str(machine.threads)),
        ("Container limit", quota),
        ("Load at the start", _load(machine)),
        ("CPU time", _cpu_time(machine)),
        ("Energy", _energy_source(report)),
        ("Frequency governor", machine.governor or "not told by the system"),
        ("Memory", memory),
        ("System", f"{machine.system}, {machine.python}"),
        ("Libraries", libraries),
        ("Data", f"{data.source}, {data.split}, {data.count:,} examples, {data.fingerprint}"),
        ("Lengths", f"{lengths}, longest {data.length_maximum}"),
        ("Measured", f"{rounds} in each, seed {settings.seed}"),
        *((f"Note {number}", note) for number, note in enumerate(data.notes, 1)),
    ]
    return text_table("Where it was measured", ("", ""), facts, kind="facts")


def _cores(machine: Environment) -> str:
    cores = f"{machine.affinity_cpus} of {machine.logical_cpus} usable"
    return f"{cores}, {machine.physical_cpus} physical" if machine.physical_cpus else cores


def _load(machine: Environment) -> str:
    before, after = machine.load_before, machine.load_after
    load = "unknown" if before is None else f"{before:g} CPUs busy before"
    if after is not None:
        load += f", load {after:g} at the end, the run itself included"
    return load


def _cpu_time(machine: Environment) -> str:
    shares = []
    if machine.busy_fraction is not None:
        shares.append(f"{machine.busy_fraction:.0%} busy during the timings")
    if machine.steal_fraction is not None:
        shares.append(f"{machine.steal_fraction:.1%} stolen by the hypervisor")
    if machine.throttled_fraction is not None:
        shares.append(f"{machine.throttled_fraction:.0%} of the quota's periods cut short")
    return ", ".join(shares) or "unknown"


def _energy_source(report: Report) -> str:
    if any(joules_per_sentence(m) is not None for r in report.results for m in r.measurements):
        return "of the whole processor package (RAPL)"
    return "not available: no RAPL counter that this process may read"
