"""Ways of quantizing one graph, measured: how fast each is here and how its answers compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.progress import Progress


@dataclass(frozen=True)
class Judgement:
    """How the answers of a graph compare with the float graph's on texts held out.

    Attributes:
        drop: What the metric lost, 0..1; below 0 where it gained. Without labels, the share of
            answers that differ (`bertcompress.tasks.same_answers`).
        divergence: The mean Kullback-Leibler divergence of the answers from the float graph's.
    """

    drop: float
    divergence: float


class Trials(Protocol):
    """Runs graphs on this machine."""

    def judge(
        self, models: Mapping[str, OnnxModel], *, against: OnnxModel, quick: bool = False
    ) -> dict[str, Judgement]:
        """Judges graphs by their answers; `quick` takes fewer texts."""
        ...

    def seconds(self, models: Mapping[str, OnnxModel], *, progress: Progress) -> dict[str, float]:
        """Times graphs against each other: seconds a text."""
        ...

    def product_seconds(self, model: OnnxModel) -> dict[str, float]:
        """Returns the seconds of each weight product, by module."""
        ...


@dataclass(frozen=True)
class Tried:
    """One way, measured.

    Attributes:
        name: What reports call it.
        model: What it made.
        judgement: How the answers compare.
        seconds: A text.
        speedup: Against the float graph, timed beside it.
        spared: Modules that were put back into float.
    """

    name: str
    model: OnnxModel
    judgement: Judgement
    seconds: float
    speedup: float
    spared: tuple[str, ...] = ()

    def to_json(self, chosen: Tried) -> dict[str, object]:
        """Returns a row of the table of ways."""
        return {
            "way": self.name,
            "ms": round(1e3 * self.seconds, 3),
            "speed-up": round(self.speedup, 2),
            "points lost": round(100 * self.judgement.drop, 2),
            "divergence": float(f"{self.judgement.divergence:.3g}"),
            "MB": round(self.model.size_bytes / 1e6, 1),
            "chosen": self is chosen,
        }
