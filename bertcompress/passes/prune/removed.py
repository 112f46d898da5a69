"""What pruning removed, and what each piece cost: as the pass left it in its step, checked.

`Prune` writes it as ``explain`` into the details of its step. Heads are numbered as in the model
that it was given, layers from 0, the one next to the embeddings.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bertcompress.artifacts.artifact import Step
from bertcompress.codec import from_plain
from bertcompress.errors import DataError, LoadError

DETAIL = "explain"
"""The key in a step's details."""


@dataclass(frozen=True)
class Piece:
    """What was removed from one sub-layer.

    Attributes:
        unit: What was removed.
        layer: From which layer.
        removed: How many.
        of: How many there were.
        by_score: What the score that pruning went by says it costs.
        in_truth: How far the answers move without it, None if that was not measured.
    """

    unit: Literal["heads", "ffn"]
    layer: int
    removed: int
    of: int
    by_score: float
    in_truth: float | None


@dataclass(frozen=True)
class Explanation:
    """What pruning removed, layer by layer, and what it cost.

    Attributes:
        head_costs: For each layer what removing each head alone costs, None if nobody asked.
        heads_kept: For each layer the heads that stayed.
        ffn_before: Each layer's neurons before.
        ffn_after: Each layer's neurons after.
        ffn_costs: For each layer what removing 0, 1, … all equal parts of its neurons costs, the
            cheapest first; empty if nobody asked.
        pieces: What was removed, one for each sub-layer that lost something.
        cost_unit: What all costs are counted in.
    """

    head_costs: tuple[tuple[float | None, ...], ...]
    heads_kept: tuple[tuple[int, ...], ...]
    ffn_before: tuple[int, ...]
    ffn_after: tuple[int, ...]
    ffn_costs: tuple[tuple[float | None, ...], ...]
    pieces: tuple[Piece, ...]
    cost_unit: str

    def __post_init__(self) -> None:
        """Fails with a DataError where the parts contradict each other."""
        rows = (self.head_costs, self.heads_kept, self.ffn_before, self.ffn_after, self.ffn_costs)
        if len({len(part) for part in rows}) != 1:
            raise DataError("its lists differ in their number of layers")
        for layer, kept in enumerate(self.heads_kept):
            if not set(kept) <= set(range(len(self.head_costs[layer]))):
                raise DataError(f"layer {layer} keeps a head that it never had")
            if not 0 <= self.ffn_after[layer] <= self.ffn_before[layer]:
                raise DataError(f"layer {layer} keeps more neurons than it had")
        for piece in self.pieces:
            if not 0 <= piece.layer < self.layers:
                raise DataError(f"there is no layer {piece.layer}")
        if not all(math.isfinite(cost) for cost in self.all_costs()):
            raise DataError("a cost is not a finite number")

    @property
    def layers(self) -> int:
        """The number of layers."""
        return len(self.heads_kept)

    @property
    def heads(self) -> int:
        """The number of heads of the layer that had the most."""
        return max((len(costs) for costs in self.head_costs), default=0)

    def all_costs(self) -> list[float]:
        """Returns every cost that is known, in no order."""
        known = [cost for row in (*self.head_costs, *self.ffn_costs) for cost in row]
        known += [cost for piece in self.pieces for cost in (piece.by_score, piece.in_truth)]
        return [cost for cost in known if cost is not None]

    def ffn_steps(self, layer: int) -> tuple[float | None, ...]:
        """Returns what removing the first, the first two, … all equal parts of an FFN costs."""
        return self.ffn_costs[layer][1:]


def explanation_of(history: Sequence[Step]) -> Explanation | None:
    """Returns what the last step that tells of its cuts left, None if no step does.

    Raises:
        LoadError: If it is damaged.
    """
    for step in reversed(history):
        if DETAIL in step.details:
            try:
                return from_plain(Explanation, step.details[DETAIL])
            except DataError as error:
                raise LoadError(
                    f"what the step {step.name} says of its cuts is damaged: {error}; make the "
                    "artifact again"
                ) from error
    return None


def grouped(named: Iterable[tuple[str, Explanation | None]]) -> list[tuple[str, Explanation]]:
    """Puts the names of equal explanations together: quantizing does not change what was cut."""
    names: dict[Explanation, list[str]] = {}
    for name, explanation in named:
        if explanation is not None:
            names.setdefault(explanation, []).append(name)
    return [(", ".join(sharing), explanation) for explanation, sharing in names.items()]
