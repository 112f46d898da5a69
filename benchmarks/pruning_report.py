"""The report of `pruning.py`: a table a fraction, with our difference from each other method.

Every comparison is paired: the same test examples were asked of both models. The interval of one
seed is the paired bootstrap over examples. Pooled over seeds, an example is drawn together with
all its answers, from every seed's two models, and the difference is that of the mean metrics: the
seeds of one example are no independent examples. The seeds are taken as they are; how much a method
depends on them is shown by its range, not by the interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import DataError
from bertcompress.formatting import change_interval, change_number, metric_name, metric_text
from bertcompress.machine.environment import Environment
from bertcompress.report.markdown import pipe_table
from bertcompress.stats.bootstrap import paired_difference
from bertcompress.stats.intervals import Interval

Matrix = NDArray[np.float64]
OURS = "ours"


@dataclass(frozen=True)
class Cell:
    """One method, fraction and seed.

    Attributes:
        method: Its name.
        fraction: Of all heads and of all neurons, the part to remove; 0 for the model before.
        seed: What the samples were drawn with.
        value: The metric on the test split.
        seconds: What the pass took.
        flops_kept: Of heads and neurons, the part of their FLOPs that is left.
        parameters_kept: Of all weights, embeddings included.
        layer_heads: Heads left in each layer.
        layer_ffn: Neurons left in each layer.
        columns: What each test example adds to the metric, see `bertcompress.bench.metric_rows`;
            one text of numbers for each column.
    """

    method: str
    fraction: float
    seed: int
    value: float
    seconds: float
    flops_kept: float
    parameters_kept: float
    layer_heads: tuple[int, ...]
    layer_ffn: tuple[int, ...]
    columns: tuple[str, ...]

    @property
    def rows(self) -> Matrix:
        """The columns as float64 ``[examples, columns]``."""
        return np.asarray([[float(one) for one in text.split()] for text in self.columns]).T


@dataclass(frozen=True)
class Experiment:
    """All cells.

    Attributes:
        model: The folder's name.
        data: The data set's name and fingerprint.
        metric: The metric's name.
        samples: That each method was given.
        environment: The machine.
        cells: The model before first.
    """

    model: str
    data: str
    metric: str
    samples: int
    environment: Environment
    cells: tuple[Cell, ...]


def difference(ours: Sequence[Cell], others: Sequence[Cell]) -> Interval:
    """Returns mean(ours) - mean(others) over seeds, with its paired interval.

    Args:
        ours: One cell a seed.
        others: The same seeds in the same order.
    """
    first, second = (np.hstack([one.rows for one in cells]) for cells in (others, ours))
    statistic = _metric_of(others[0])
    width = first.shape[1] // len(others)

    def pooled(sums: Matrix) -> Matrix:
        parts = [statistic(sums[:, at : at + width]) for at in range(0, sums.shape[1], width)]
        return np.asarray(np.mean(parts, axis=0))

    return paired_difference(first, second, pooled)[0]


def _metric_of(cell: Cell) -> Callable[[Matrix], Matrix]:
    """Returns the metric as a function of column sums, checked against the cell's own value."""
    metrics: dict[int, Callable[[Matrix], Matrix]] = {
        2: lambda sums: np.asarray(sums[:, 0] / np.maximum(sums[:, 1], 1.0)),
        3: lambda sums: np.asarray(2.0 * sums[:, 0] / np.maximum(sums[:, 1] + sums[:, 2], 1.0)),
    }
    metric, rows = metrics.get(len(cell.columns)), cell.rows
    if metric is None or abs(metric(rows.sum(axis=0)[None])[0] - cell.value) > 1e-6:
        raise DataError(f"the metric of {cell.method!r} can't be rebuilt from its examples")
    return metric


def text_of(experiment: Experiment) -> str:
    """Returns the report as Markdown."""
    dense, machine = experiment.cells[0], experiment.environment
    metric = experiment.metric
    libraries = ", ".join(
        f"{name} {machine.libraries.get(name, '?')}" for name in ("torch", "transformers")
    )
    lines = [
        "# One-shot pruning, method against method",
        "",
        f"{experiment.model} on {experiment.data}: {metric_name(metric)} "
        f"{metric_text(metric, dense.value)} before, {len(dense.rows):,} test examples, "
        f"{experiment.samples:,} samples for each method, nothing trained; {libraries}, "
        f"{machine.date[:10]}.",
    ]
    for fraction in sorted({cell.fraction for cell in experiment.cells[1:]}):
        lines += ["", *_table(experiment, fraction)]
    lines += [
        "",
        "*Ours − it*: points, with a paired 95 % interval, pooled over the seeds and for each: it "
        "holds for other test examples, not for other seeds: how those differ, the range and "
        "the single differences show. Seconds are of a machine that may have been busy. "
        "*Own split*: the method chooses between heads and neurons within the FLOPs that ours "
        "left. FLOPs are those of heads and neurons; weights include the embeddings. Kwon and "
        "K-prune are written anew from the papers, with the repairs that "
        "[the sources](../baselines) list.",
    ]
    return "\n".join(lines) + "\n"


def _table(experiment: Experiment, fraction: float) -> list[str]:
    cells = [cell for cell in experiment.cells[1:] if cell.fraction == fraction]
    methods = list(dict.fromkeys(cell.method for cell in cells))
    columns = (
        "method",
        "seeds",
        f"{metric_name(experiment.metric)}, mean (range)",
        "ours − it, pooled",
        "for each seed",
        "FLOPs left",
        "weights left",
        "seconds",
    )
    rows = [_row(experiment.metric, cells, method) for method in methods]
    heading = f"## {fraction:.0%} of heads and of neurons removed"
    return [heading, "", *pipe_table(columns, rows, words=(0, 4))]


def _row(metric: str, cells: Sequence[Cell], method: str) -> list[str]:
    own = [cell for cell in cells if cell.method == method]
    values = [cell.value for cell in own]
    low, high = (metric_text(metric, end).removesuffix(" %") for end in (min(values), max(values)))
    spread = f" ({low} to {high})" if len(own) > 1 else ""
    return [
        method,
        str(len(own)),
        f"{metric_text(metric, float(np.mean(values)))}{spread}",
        *_differences(metric, cells, method),
        f"{np.mean([cell.flops_kept for cell in own]):.1%}",
        f"{np.mean([cell.parameters_kept for cell in own]):.1%}",
        f"{np.median([cell.seconds for cell in own]):.0f}",
    ]


def _differences(metric: str, cells: Sequence[Cell], method: str) -> list[str]:
    """Returns the two cells of a row that compare; a method without seeds meets each of ours."""
    if method == OURS:
        return ["", ""]
    ours = {cell.seed: cell for cell in cells if cell.method == OURS}
    theirs = {cell.seed: cell for cell in cells if cell.method == method}
    if len(theirs) == 1:
        theirs = dict.fromkeys(ours, next(iter(theirs.values())))
    seeds = sorted(ours.keys() & theirs.keys())
    pooled = difference([ours[seed] for seed in seeds], [theirs[seed] for seed in seeds])
    each = [difference([ours[seed]], [theirs[seed]]) for seed in seeds]
    return [
        f"{change_number(metric, pooled.estimate)} ({change_interval(metric, pooled)})",
        "; ".join(
            f"{change_number(metric, one.estimate)} ({change_interval(metric, one)})"
            for one in each
        ),
    ]
