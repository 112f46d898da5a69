"""Figures as people read them: milliseconds, megabytes, points, times.

A metric that is a share is printed in percent and its change in percentage points; a correlation
or a cosine is printed as it is. Megabytes are 10^6 bytes, as file managers and shops count them.

>>> seconds_text(0.00364), bytes_text(90_900_000), ratio_text(2.9012)
('3.64 ms', '90.9 MB', '2.90×')
>>> metric_text("accuracy", 0.8847), change_text("accuracy", -0.0031)
('88.47 %', '−0.31 points')
>>> metric_text("cosine_to_reference", 0.9987), change_text("pearson", 0.002)
('0.9987', '+0.0020')
"""

from __future__ import annotations

from bertcompress.stats.intervals import Interval

_NAMES = {
    "accuracy": "accuracy",
    "f1": "F1",
    "f1_strict": "strict F1",
    "f1_micro": "micro F1",
    "f1_macro": "macro F1",
    "exact_match": "exact match",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "cosine_to_reference": "cosine to the original",
    "mean score": "mean score",
}
_PLAIN = ("pearson", "spearman", "cosine", "mse", "mean score", "unseen")


def seconds_text(seconds: float) -> str:
    """Returns milliseconds with three digits that count, or seconds from one second on."""
    if seconds >= 1.0:
        return f"{seconds:.2f} s"
    return f"{_digits(seconds * 1e3)} ms"


def duration_text(seconds: float) -> str:
    """Returns how long something takes, as a person would say it.

    >>> duration_text(41.2), duration_text(190), duration_text(8000)
    ('41 s', '3 min', '2.2 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def milliseconds(seconds: float) -> str:
    """Returns the number of milliseconds without its unit."""
    return _digits(seconds * 1e3)


def millisecond_interval(interval: Interval) -> str:
    """Returns ``1.20 to 1.31``, milliseconds."""
    return f"{milliseconds(interval.low)} to {milliseconds(interval.high)}"


def bytes_text(count: int) -> str:
    """Returns megabytes, kilobytes below one, gigabytes from a thousand on."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:.2f} GB"
    if count >= 1_000_000:
        return f"{count / 1e6:.1f} MB"
    return f"{count / 1e3:.1f} kB"


def ratio_text(ratio: float) -> str:
    """Returns ``2.90×``."""
    return f"{ratio:.2f}×"


def ratio_interval(interval: Interval) -> str:
    """Returns ``2.81 to 2.99``."""
    return f"{interval.low:.2f} to {interval.high:.2f}"


def rate_text(rate: float) -> str:
    """Returns a rate with thousands separators."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def metric_name(metric: str) -> str:
    """Returns a metric's name as people write it."""
    return _NAMES.get(metric, metric.replace("_", " "))


def is_share(metric: str) -> bool:
    """Tells whether a metric is a share, so that it is printed in percent."""
    return not metric.startswith(_PLAIN)


def metric_text(metric: str, value: float) -> str:
    """Returns a metric's value."""
    return f"{value * 100:.2f} %" if is_share(metric) else f"{value:.4f}"


def metric_interval(metric: str, interval: Interval) -> str:
    """Returns ``86.9 to 89.8``, without the percent sign."""
    if is_share(metric):
        return f"{interval.low * 100:.1f} to {interval.high * 100:.1f}"
    return f"{interval.low:.4f} to {interval.high:.4f}"


def change_text(metric: str, change: float) -> str:
    """Returns a signed change, in points for shares."""
    number = change_number(metric, change)
    return f"{number} points" if is_share(metric) else number


def bound_text(metric: str, bound: float) -> str:
    """Returns a limit on a change, unsigned and without zeros at its end.

    >>> bound_text("accuracy", 0.01), bound_text("accuracy", 0.005), bound_text("pearson", 0.01)
    ('1 point', '0.5 points', '0.01')
    """
    if not is_share(metric):
        return f"{bound:g}"
    points = f"{bound * 100:.4g}"
    return f"{points} point{'' if points == '1' else 's'}"


def change_number(metric: str, change: float) -> str:
    """Returns a signed change without its unit."""
    scaled = f"{change * 100:+.2f}" if is_share(metric) else f"{change:+.4f}"
    if float(scaled) == 0.0:
        scaled = scaled.replace("-", "+").replace("+", "±")
    return scaled.replace("-", "−")


def change_interval(metric: str, interval: Interval) -> str:
    """Returns ``−0.9 to +0.3``."""
    return f"{change_number(metric, interval.low)} to {change_number(metric, interval.high)}"


def p_text(p_value: float) -> str:
    """Returns ``p = 0.42`` or ``p < 0.001``."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def quantile_name(quantile: float) -> str:
    """Returns ``p50``, ``p99.9``."""
    return f"p{quantile * 100:g}"


def count_text(count: int) -> str:
    """Returns a count with thousands separators."""
    return f"{count:,}"


def percent_text(fraction: float) -> str:
    """Returns a fraction in percent, without zeros at its end.

    >>> percent_text(0.03), percent_text(0.0421), percent_text(0.99)
    ('3 %', '4.2 %', '99 %')
    """
    return f"{fraction * 100:.1f}".removesuffix(".0") + " %"


def percent_change(fraction: float) -> str:
    """Returns a signed fraction in percent.

    >>> percent_change(0.0513), percent_change(-0.002), percent_change(0.0)
    ('+5.1 %', '−0.2 %', '±0.0 %')
    """
    number = f"{fraction * 100:+.1f}"
    if float(number) == 0.0:
        number = "±0.0"
    return number.replace("-", "−") + " %"


def cost_text(cost: float | None) -> str:
    """Returns what a removed piece cost, with two digits that count.

    >>> cost_text(0.0123), cost_text(0.000034), cost_text(0.0), cost_text(None)
    ('0.012', '3.4e-05', '0', '—')
    """
    return "—" if cost is None else f"{cost:.2g}"


def streams_text(
    streams: int, threads: int, batch_size: int = 0, *, sort_by_length: bool = True
) -> str:
    """Returns how many runtimes have how many threads each, and what they are given.

    >>> streams_text(2, 1, 8), streams_text(1, 4, 8, sort_by_length=False)
    ('2 streams × 1 thread, batch 8', '1 stream × 4 threads, batch 8 as they come')
    """
    layout = f"{streams} stream{'' if streams == 1 else 's'}"
    layout += f" × {threads} thread{'' if threads == 1 else 's'}"
    order = "" if sort_by_length else " as they come"
    return f"{layout}, batch {batch_size}{order}" if batch_size else layout


def _digits(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
