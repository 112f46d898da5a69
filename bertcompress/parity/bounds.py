"""How far a step of the parity ladder may be from the checkpoint, by its coarsest precision.

| precision | largest difference | SQNR | agreement | loss of the metric | why |
|---|---:|---:|---:|---:|---|
| fp32 | 1e-4 | 80 dB | 99.9 % | 0.1 % | sums in another order: 1e-6 to 1e-5 in practice |
| fp16 | 2e-2 | 40 dB | 99 % | 0.5 % | 11 bits: a rounding leaves 66 dB, hundreds in a row less |
| bf16 | 1e-1 | 25 dB | 98 % | 0.5 % | 8 bits: a rounding leaves 48 dB, hundreds in a row less |
| int8, fp8 | – | 10 dB | 95 % | 1 % | by its answers: logits may move, decisions should not |
| int4 | – | 6 dB | 90 % | 2 % | the same |

The largest difference is relative to the reference's largest output, at least 1, as the exporter's
own tolerance is. Agreement and metric are bounded on texts only: drawn tokens have answers near
the border, which flip for nothing. Each figure can be set, see `with_bound`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from bertcompress.errors import UsageError, did_you_mean
from bertcompress.parity.precision import PRECISIONS, Precision


@dataclass(frozen=True)
class Bounds:
    """Bounds of one step; None leaves a figure unbounded.

    Attributes:
        max_difference: Of any output, relative to the reference's largest output (at least 1).
        min_sqnr: Signal-to-noise ratio of the outputs, decibels.
        min_agreement: Share of answers that are the same, 0 to 1.
        max_drop: What the metric may lose, 0 to 1.
    """

    max_difference: float | None
    min_sqnr: float | None
    min_agreement: float | None
    max_drop: float | None


_EIGHT = Bounds(None, 10.0, 0.95, 0.01)
BOUNDS: Mapping[Precision, Bounds] = {
    "fp32": Bounds(1e-4, 80.0, 0.999, 0.001),
    "fp16": Bounds(2e-2, 40.0, 0.99, 0.005),
    "bf16": Bounds(1e-1, 25.0, 0.98, 0.005),
    "int8": _EIGHT,
    "fp8": _EIGHT,
    "int4": Bounds(None, 6.0, 0.90, 0.02),
}
FIGURES = tuple(field.name.replace("_", "-") for field in fields(Bounds))


def with_bound(bounds: Mapping[Precision, Bounds], text: str) -> dict[Precision, Bounds]:
    """Returns bounds with one of them set.

    Args:
        bounds: As they are.
        text: ``FIGURE=VALUE`` for all precisions or ``PRECISION.FIGURE=VALUE`` for one; the value
            ``off`` leaves the figure unbounded.

    Raises:
        UsageError: It names no precision or figure, or the value is no number.

    >>> with_bound(BOUNDS, "int8.min-agreement=0.99")["int8"].min_agreement
    0.99
    """
    name, equals, value = text.partition("=")
    precision, dot, figure = name.strip().rpartition(".")
    if not equals or (dot and precision not in PRECISIONS) or figure not in FIGURES:
        known = figure in FIGURES
        near = did_you_mean(precision, PRECISIONS) if known else did_you_mean(figure, FIGURES)
        raise UsageError(
            f"a bound is [PRECISION.]FIGURE=VALUE, got {text!r}; the figures are "
            f"{', '.join(FIGURES)}, the precisions {', '.join(PRECISIONS)}{near}"
        )
    field, number = figure.replace("-", "_"), _number(text, value.strip())
    chosen = [name for name in PRECISIONS if not dot or name == precision]
    return {**bounds, **{name: replace(bounds[name], **{field: number}) for name in chosen}}


def _number(text: str, value: str) -> float | None:
    if value == "off":
        return None
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"the value of a bound is a number or off, got {text!r}") from None
