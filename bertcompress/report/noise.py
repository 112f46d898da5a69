"""Was the machine quiet enough to believe its timings?

Two answers. `noise_of` lists everything that makes timings less steady; the report prints it as a
doubt. `too_noisy` lists what makes them worthless for a yes or no: then the report says so first
and the gates on speed abstain, because a gate that fails on noise is soon switched off. Gates on
answers and on bytes need no quiet machine.
"""

from __future__ import annotations

from collections.abc import Iterator

from bertcompress.machine.environment import Environment
from bertcompress.report.schema import Report
from bertcompress.report.variant_summary import Rows

WIDEST_RESOLUTION = 0.10
"""Two measurements of the same thing may differ so much, their interval included."""

SOME_LOAD = 0.1
MOST_LOAD = 0.25
"""Of the CPUs, kept busy by others: worth a doubt, and too much to decide anything."""

MOST_STEAL = 0.01
MOST_THROTTLED = 0.01
_OWN_LOAD = 1.0
"""At the end of a run the load holds the run itself: its threads, and the harness."""


def noise_of(environment: Environment) -> list[str]:
    """Returns a sentence for each thing about the machine that makes timings unsteady."""
    sentences = []
    load, cpus = environment.load_before, environment.affinity_cpus
    if load is not None and load > SOME_LOAD * cpus:
        sentences.append(_load_before(environment))
    sentences += _taken_away(environment)
    if environment.quota_cpus is not None and environment.quota_cpus < environment.threads:
        sentences.append(
            f"the container may use {environment.quota_cpus:g} CPUs but {environment.threads} "
            "threads were asked for"
        )
    if environment.threads > cpus:
        sentences.append(f"{environment.threads} threads shared {cpus} CPUs")
    return sentences


def too_noisy(report: Report, rows: Rows) -> tuple[str, ...]:
    """Returns why no timing of this run may decide a gate; empty for a machine quiet enough."""
    return (*_resolution(rows), *_machine(report.environment))


def _resolution(rows: Rows) -> Iterator[str]:
    resolution = rows.resolution
    if resolution is not None and resolution > WIDEST_RESOLUTION:
        yield (
            f"two measurements of {rows.base.name} itself are up to {resolution:.0%} apart, "
            f"{WIDEST_RESOLUTION:.0%} is the most that may decide anything"
        )


def _machine(environment: Environment) -> Iterator[str]:
    before, after, cpus = (
        environment.load_before,
        environment.load_after,
        environment.affinity_cpus,
    )
    if before is not None and before > MOST_LOAD * cpus:
        yield _load_before(environment)
    if after is not None and after > cpus + _OWN_LOAD:
        yield f"other work was running when it ended: load {after:.1f} on {cpus} CPUs"
    yield from _taken_away(environment)


def _load_before(environment: Environment) -> str:
    load, cpus = environment.load_before, environment.affinity_cpus
    return f"other work was running when it started: {load:.1f} of {cpus} CPUs were busy"


def _taken_away(environment: Environment) -> Iterator[str]:
    steal, throttled = environment.steal_fraction, environment.throttled_fraction
    if steal is not None and steal > MOST_STEAL:
        yield f"the hypervisor took {steal:.1%} of the CPU time during the run"
    if throttled is not None and throttled > MOST_THROTTLED:
        yield f"the container's CPU quota stopped the run in {throttled:.0%} of its periods"
