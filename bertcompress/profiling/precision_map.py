"""The precision map: each matrix product, what really ran for it, how long, and why in float.

All from the runtime's own account of what it ran (`bertcompress.profiling.profile_run`) and the
steps in the artifact's manifest; nothing from what was asked for. An operator's time is its median
over all runs, so a run that was interrupted costs nothing; the time between operators comes from
the median share of a run that its operators cover. The rows so add up to the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from bertcompress.artifacts.manifest import Step
from bertcompress.profiling.profiled_run import ProfiledRun, RanNode
from bertcompress.profiling.reasons import reason_for

GROUPS: Mapping[str, tuple[str, ...]] = {
    "LayerNorm and residual": (
        "LayerNormalization",
        "SkipLayerNormalization",
        "EmbedLayerNormalization",
        "QEmbedLayerNormalization",
        "MVN",
    ),
    "activation function": ("BiasGelu", "FastGelu", "Gelu", "QuickGelu", "Erf", "Tanh", "Relu"),
    "softmax": ("Softmax", "QLinearSoftmax"),
    "quantize, dequantize": (
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "FakeQuantize",
    ),
    "gather": ("Gather", "GatherBlockQuantized", "GatherElements"),
    "element by element": ("Add", "Sub", "Mul", "Div", "QLinearAdd", "Eltwise"),
    "transpose, reshape": ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten"),
}
"""What is not a product, by what it is for; the rest is `OTHER`."""

OTHER, GONE = "masks, shapes, casts", "products that are gone"


@dataclass(frozen=True)
class MappedProduct:
    """What ran for one module's product.

    Attributes:
        module: The module; of an attention, the module that holds query and key.
        kernel: The operator or operators, as the runtime calls them.
        precision: What was multiplied with what.
        before_s: Median seconds in the float graph, None where there is none to compare with.
        after_s: Median seconds.
        reason: Why it stayed in float; empty where it did not.
    """

    module: str
    kernel: str
    precision: str
    before_s: float | None
    after_s: float
    reason: str


@dataclass(frozen=True)
class MappedGroup:
    """What ran besides, put together by what it is for.

    Attributes:
        name: What it is for.
        operators: The operators and how many of each, ``SkipLayerNormalization 12``.
        before_s: Sum of the medians in the float graph, None where there is none.
        after_s: Sum of the medians.
    """

    name: str
    operators: str
    before_s: float | None
    after_s: float


@dataclass(frozen=True)
class PrecisionMap:
    """What ran in which precision.

    Attributes:
        runtime: The runtime's name.
        inputs: What was run, in words.
        threads: Threads of a run.
        runs: Runs that the medians are over.
        against: The float graph that it is compared with, None if there was none.
        products: The products in the order they ran.
        others: All else.
        covered: The share of a run that its operators cover; the rest is the runtime's own work.
        plain_s: Median seconds of a whole run without the profiler.
        before_covered: The same share of the float graph.
        before_plain_s: The same seconds of the float graph.
    """

    runtime: str
    inputs: str
    threads: int
    runs: int
    against: str | None
    products: tuple[MappedProduct, ...]
    others: tuple[MappedGroup, ...]
    covered: float
    plain_s: float
    before_covered: float | None = None
    before_plain_s: float | None = None

    @property
    def operators_s(self) -> float:
        """The sum of all rows."""
        products = sum(row.after_s for row in self.products)
        return products + sum(row.after_s for row in self.others)

    @property
    def whole_s(self) -> float:
        """A whole run under the profiler: the rows, and what lies between operators."""
        return self.operators_s / self.covered

    @property
    def before_operators_s(self) -> float | None:
        """The sum of all rows of the float graph; None without one."""
        if self.before_covered is None:
            return None
        products = sum(row.before_s or 0.0 for row in self.products)
        return products + sum(row.before_s or 0.0 for row in self.others)

    @property
    def before_whole_s(self) -> float | None:
        """A whole run of the float graph; None without one."""
        operators_s = self.before_operators_s
        if operators_s is None or self.before_covered is None:
            return None
        return operators_s / self.before_covered


def precision_map(
    run: ProfiledRun,
    history: Sequence[Step],
    *,
    inputs: str,
    threads: int,
    before: ProfiledRun | None = None,
    against: str | None = None,
) -> PrecisionMap:
    """Puts the map together.

    Args:
        run: What ran.
        history: The steps that made the artifact.
        inputs: What was run, in words.
        threads: Threads of a run.
        before: What ran for the float graph.
        against: What that graph is called.
    """
    now, old = _by_module(run.nodes), _by_module(before.nodes) if before else {}
    products = tuple(
        MappedProduct(
            module=module,
            kernel=_kernels(nodes),
            precision=_precision(nodes),
            before_s=summed(old[module]) if module in old else None,
            after_s=summed(nodes),
            reason=reason_for(
                module,
                _precision(nodes),
                history,
                is_attention=any(node.is_attention for node in nodes),
                runtime=run.runtime,
            ),
        )
        for module, nodes in now.items()
    )
    gone = [node for module, nodes in old.items() if module not in now for node in nodes]
    return PrecisionMap(
        runtime=run.runtime,
        inputs=inputs,
        threads=threads,
        runs=len(run.run_s),
        against=against if before else None,
        products=products,
        others=groups(run.nodes, before.nodes if before else None, gone),
        covered=_covered(run),
        plain_s=median(run.plain_s),
        before_covered=_covered(before) if before else None,
        before_plain_s=median(before.plain_s) if before else None,
    )


def joined(parts: Sequence[ProfiledRun]) -> ProfiledRun:
    """Puts the runs of several measurements of one graph together."""
    keys = dict.fromkeys((node.name, node.kind) for part in parts for node in part.nodes)
    by_key = [{(node.name, node.kind): node for node in part.nodes} for part in parts]
    nodes = []
    for key in keys:
        seconds: list[float] = []
        for part, known in zip(parts, by_key, strict=True):
            seconds += known[key].seconds if key in known else [0.0] * len(part.run_s)
        first = next(known[key] for known in by_key if key in known)
        nodes.append(replace(first, seconds=tuple(seconds)))
    return replace(
        parts[0],
        nodes=tuple(nodes),
        run_s=tuple(second for part in parts for second in part.run_s),
        plain_s=tuple(second for part in parts for second in part.plain_s),
    )


def groups(
    nodes: Sequence[RanNode], before: Sequence[RanNode] | None, gone: Sequence[RanNode]
) -> tuple[MappedGroup, ...]:
    """Puts operators together.

    Args:
        nodes: Those that ran; products are passed over.
        before: Those of the float graph, None without one.
        gone: Its products that the graph no longer has.
    """
    now, old = _grouped(nodes), _grouped(before or ())
    if gone:
        old[GONE] = list(gone)
    names = [name for name in (*GROUPS, OTHER, GONE) if name in {**now, **old}]
    return tuple(
        MappedGroup(
            name=name,
            operators=_counted(now.get(name, [])),
            before_s=None if before is None else summed(old.get(name, [])),
            after_s=summed(now.get(name, [])),
        )
        for name in names
    )


def _by_module(nodes: Sequence[RanNode]) -> dict[str, list[RanNode]]:
    modules: dict[str, list[RanNode]] = {}
    for node in nodes:
        if node.module is not None:
            modules.setdefault(node.module, []).append(node)
    return modules


def _kernels(nodes: Sequence[RanNode]) -> str:
    return " + ".join(node.kernel for node in nodes)


def _precision(nodes: Sequence[RanNode]) -> str:
    known = dict.fromkeys(node.precision for node in nodes if node.precision is not None)
    return "; ".join(known)


def _covered(run: ProfiledRun) -> float:
    """Returns the median share of a run that is in operators, at most 1."""
    sums = [sum(column) for column in zip(*(node.seconds for node in run.nodes), strict=True)]
    shares = [covered / whole for covered, whole in zip(sums, run.run_s, strict=True)]
    return float(min(1.0, median(shares)))


def _grouped(nodes: Sequence[RanNode]) -> dict[str, list[RanNode]]:
    names = {kind: name for name, kinds in GROUPS.items() for kind in kinds}
    others: dict[str, list[RanNode]] = {}
    for node in nodes:
        if node.module is None:
            others.setdefault(names.get(node.kind, OTHER), []).append(node)
    return others


def _counted(nodes: Sequence[RanNode]) -> str:
    counts = Counter(node.kind for node in nodes)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{kind} {count}" for kind, count in ordered)


def summed(nodes: Sequence[RanNode]) -> float:
    """Returns the sum of the operators' median seconds."""
    return sum(median(node.seconds) for node in nodes)
