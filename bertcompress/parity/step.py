"""One step of a parity ladder, and the whole of it, as values."""

from __future__ import annotations

from dataclasses import dataclass

from bertcompress.parity.bounds import Bounds
from bertcompress.parity.first_divergence import Divergence
from bertcompress.parity.precision import Precision


@dataclass(frozen=True)
class ParityStep:
    """One artifact in one runtime.

    Attributes:
        artifact: What messages call it.
        runtime: What ran it.
        precision: The coarsest that it computes in.
        bounds: What it is held to.
        max_difference: Largest absolute difference of any output.
        mean_difference: Mean absolute difference.
        largest_output: Largest absolute output of the reference.
        sqnr_db: Signal-to-noise ratio, decibels; None where nothing differs.
        agreement: Share of answers that are the same, 0 to 1.
        value: The task's metric; None without labels.
        drop: What it lost against the reference.
        broken: The bounds that it is outside of, in words.
        divergence: The first layer that diverges, if a bound is broken and it can be found.
        left_out: Why it was not run, if so.
    """

    artifact: str
    runtime: str
    precision: Precision
    bounds: Bounds
    max_difference: float | None = None
    mean_difference: float | None = None
    largest_output: float | None = None
    sqnr_db: float | None = None
    agreement: float | None = None
    value: float | None = None
    drop: float | None = None
    broken: tuple[str, ...] = ()
    divergence: Divergence | None = None
    left_out: str = ""


@dataclass(frozen=True)
class ParityLadder:
    """All steps.

    Attributes:
        reference: What they are compared with.
        runtime: What ran it.
        texts: What was answered, in words.
        count: How many texts.
        metric: The task's metric.
        value: The reference's; None without labels.
        steps: In order.
    """

    reference: str
    runtime: str
    texts: str
    count: int
    metric: str
    value: float | None
    steps: tuple[ParityStep, ...]

    @property
    def failed(self) -> tuple[ParityStep, ...]:
        """The steps outside their bounds."""
        return tuple(step for step in self.steps if step.broken)


def broken_bounds(step: ParityStep) -> tuple[str, ...]:
    """Returns the bounds that a step's figures are outside of, in words."""
    bounds, broken = step.bounds, []
    if bounds.max_difference is not None and step.max_difference is not None:
        allowed = bounds.max_difference * max(1.0, step.largest_output or 0.0)
        if step.max_difference > allowed:
            broken.append(f"largest difference {step.max_difference:.1e}, allowed {allowed:.1e}")
    if bounds.min_sqnr is not None and step.sqnr_db is not None and step.sqnr_db < bounds.min_sqnr:
        broken.append(f"SQNR {step.sqnr_db:.1f} dB, at least {bounds.min_sqnr:g} dB")
    agreed, least = step.agreement, bounds.min_agreement
    if least is not None and agreed is not None and agreed < least:
        broken.append(f"agreement {agreed:.2%}, at least {least:.2%}")
    if bounds.max_drop is not None and step.drop is not None and step.drop > bounds.max_drop:
        broken.append(f"metric lost {step.drop:.4f}, at most {bounds.max_drop:g}")
    return tuple(broken)
