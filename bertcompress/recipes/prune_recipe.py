"""The passes of pruning: what the command ``prune`` and `bertcompress.prune` both do.

With data, what the others make up for best is removed and the rest re-fitted, or as much as a
target takes; with a score, or without data, units are ranked by it and cut.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from bertcompress.errors import UsageError
from bertcompress.passes.base import AnyPass
from bertcompress.passes.prune.prune import Prune, check_goals
from bertcompress.passes.prune.prune_layers import PruneLayers
from bertcompress.passes.prune.prune_units import PruneFfn, PruneHeads
from bertcompress.passes.prune.prune_vocabulary import PruneVocabulary
from bertcompress.passes.prune.relayout import Layout, Relayout
from bertcompress.recipes.recipe import or_default
from bertcompress.search.latency_table import Timing
from bertcompress.search.prune_to_target import PruneToTarget
from bertcompress.train.distill_checkpoint import Recover

if TYPE_CHECKING:
    from bertcompress.bert.pruning.importance import ScoreName
    from bertcompress.bert.pruning.selection import Scope


@dataclass(frozen=True)
class PruneOptions:
    """What is asked of pruning; None leaves a choice to the passes.

    Attributes:
        heads: Of all heads, the part to remove, [0, 1).
        ffn: Of all feed-forward neurons, the part to remove, [0, 1).
        layers: How many layers to remove.
        target_speedup: How many times as fast one sentence must be.
        target_latency: Seconds that one sentence may take.
        target_params: Parameters of the whole model: their number, or a part.
        target_flops: Operations of one text: their number, or a part.
        min_agreement: The share of answers that must stay.
        precision: With a target in time: what will be deployed.
        runtime: With a target in time: what will run it.
        length: With a target in time: tokens of each sentence timed.
        vocabulary: Whether tokens leave that the data does not use.
        recover: Epochs of distillation afterwards, shared by the rounds.
        rounds: How often is pruned and distilled.
        layout: A stock layout to write.
        score: Ranks units, which are then cut with no re-fit.
        scope: What is ranked together.
        allow_empty_layers: Whether a layer may lose all its heads.
        samples: Examples that everything is measured on.
        multiple: Neurons are kept in multiples of this.
        max_length: Longest text in tokens.
    """

    heads: float | None = None
    ffn: float | None = None
    layers: int | None = None
    target_speedup: float | None = None
    target_latency: float | None = None
    target_params: float | None = None
    target_flops: float | None = None
    min_agreement: float | None = None
    precision: str | None = None
    runtime: str | None = None
    length: int | None = None
    vocabulary: bool = False
    recover: float | None = None
    rounds: int | None = None
    layout: str | None = None
    score: str | None = None
    scope: str | None = None
    allow_empty_layers: bool = False
    samples: int | None = None
    multiple: int | None = None
    max_length: int | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets that are given."""
        given = {
            "target_speedup": self.target_speedup,
            "target_latency": self.target_latency,
            "target_params": self.target_params,
            "target_flops": self.target_flops,
        }
        return tuple(name for name, value in given.items() if value is not None)

    @property
    def ranks(self) -> bool:
        """Whether units are to be ranked and cut."""
        return self.score is not None or self.scope is not None or self.allow_empty_layers

    @property
    def removes_units(self) -> bool:
        """Whether heads or neurons are to leave."""
        return bool(self.targets) or self.heads is not None or self.ffn is not None


def prune_passes(asked: PruneOptions, *, has_data: bool, seed: int = 0) -> tuple[AnyPass, ...]:
    """Returns the passes that do what is asked.

    Args:
        asked: What is asked.
        has_data: Whether there will be examples.
        seed: For everything drawn.

    Raises:
        UsageError: If it can't be meant.
    """
    if not asked.vocabulary and not asked.removes_units and asked.layers is None:
        raise UsageError(
            "prune must know what to remove; give --heads 0.3, --ffn 0.3, --layers 2, "
            "--vocabulary or --target-speedup 1.5"
        )
    if asked.targets and asked.ranks:
        raise UsageError("a target does not go with --score, --scope or empty layers")
    passes: list[AnyPass] = []
    if asked.layers is not None:
        passes.append(_layers(asked, asked.layers, seed))
    makes_up = bool(asked.targets) or (has_data and not asked.ranks)
    in_rounds = makes_up and asked.removes_units
    passes += _in_rounds(asked, seed) if in_rounds else _ranked(asked, seed)
    if asked.recover is not None and not in_rounds:
        passes.append(_recovery(asked, asked.recover, seed))
    if asked.vocabulary:
        passes.append(PruneVocabulary(max_length=asked.max_length, seed=seed))
    if asked.layout is not None:
        passes.append(Relayout(cast("Layout", asked.layout), seed=seed))
    return tuple(passes)


def remark_on(asked: PruneOptions, *, has_data: bool) -> str | None:
    """Returns what the user should know of what is asked; None where nothing is guessed."""
    if has_data or asked.score is not None or asked.layers is not None:
        return None
    return "no data was given, so the size of the weights decides; --data DATA is better"


def check_goal(*, fractions: bool, targets: Sequence[str], timing: Sequence[str]) -> None:
    """Fails with a UsageError unless one goal is given, and only settings that belong to it.

    Args:
        fractions: Whether parts of heads or neurons are given.
        targets: The targets that are given.
        timing: The given settings of how something is timed.
    """
    check_goals([*(["heads and ffn"] if fractions else []), *targets])
    if timing and not {"target_speedup", "target_latency"} & {*targets}:
        raise UsageError(f"{timing[0]} is for a target in time; add target_speedup")


def _layers(asked: PruneOptions, count: int, seed: int) -> PruneLayers:
    return PruneLayers(
        count,
        samples=or_default(asked.samples, PruneLayers.samples),
        max_length=asked.max_length,
        seed=seed,
    )


def _ranked(asked: PruneOptions, seed: int) -> list[AnyPass]:
    """Returns the passes that rank units by a score and cut, with no re-fit."""
    passes: list[AnyPass] = []
    score = cast("ScoreName | None", asked.score)  # the passes list what they allow
    if asked.heads is not None:
        passes.append(
            PruneHeads(
                asked.heads,
                score=score,
                scope=cast("Scope", or_default(asked.scope, PruneHeads.scope)),
                allow_empty_layers=asked.allow_empty_layers,
                samples=or_default(asked.samples, PruneHeads.samples),
                max_length=asked.max_length,
                seed=seed,
            )
        )
    if asked.ffn is not None:
        passes.append(
            PruneFfn(
                asked.ffn,
                score=score,
                scope=cast("Scope", or_default(asked.scope, PruneFfn.scope)),
                multiple=or_default(asked.multiple, PruneFfn.multiple),
                samples=or_default(asked.samples, PruneFfn.samples),
                max_length=asked.max_length,
                seed=seed,
            )
        )
    return passes


def _recovery(asked: PruneOptions, epochs: float, seed: int) -> Recover:
    longest = Recover.max_length if asked.max_length is None else asked.max_length
    return Recover(epochs=epochs, max_length=longest, seed=seed)


def _in_rounds(asked: PruneOptions, seed: int) -> list[AnyPass]:
    """Returns one-shot pruning, with distillation after each of the rounds.

    Every round removes the same part of what the one before it left; a target is approached in
    equal ratios of the original.

    Raises:
        UsageError: If there are several rounds with nothing between them, or a target that is a
            number and no ratio.
    """
    count = or_default(asked.rounds, 1)
    if count < 1 or (count > 1 and asked.recover is None):
        raise UsageError(
            f"rounds must be 1 or more, and needs --recover to train after each, got {count}"
        )
    if count > 1 and asked.min_agreement is not None:
        raise UsageError("min-agreement is checked before training; leave it out with rounds")
    passes: list[AnyPass] = []
    for number in range(1, count + 1):
        part = asked if count == 1 else _part(asked, number, count)
        passes.append(_one_shot(part, seed, reference="" if count > 1 else None))
        if asked.recover is not None:
            passes.append(_recovery(asked, round(asked.recover / count, 4), seed))
    return passes


def _one_shot(asked: PruneOptions, seed: int, *, reference: str | None) -> AnyPass:
    timing = {"precision": asked.precision, "runtime": asked.runtime, "length": asked.length}
    check_goal(
        fractions=bool(asked.heads or asked.ffn),
        targets=asked.targets,
        timing=[name for name, value in timing.items() if value is not None],
    )
    if not asked.targets:
        return Prune(
            heads=or_default(asked.heads, 0.0),
            ffn=or_default(asked.ffn, 0.0),
            min_agreement=asked.min_agreement,
            multiple=or_default(asked.multiple, Prune.multiple),
            samples=or_default(asked.samples, Prune.samples),
            max_length=asked.max_length,
            seed=seed,
        )
    return PruneToTarget(
        target_speedup=asked.target_speedup,
        target_latency=asked.target_latency,
        target_params=asked.target_params,
        target_flops=asked.target_flops,
        min_agreement=asked.min_agreement,
        reference=reference,
        precision=or_default(asked.precision, PruneToTarget.precision),
        runtime=or_default(asked.runtime, PruneToTarget.runtime),
        timing=Timing(length=asked.length),
        multiple=or_default(asked.multiple, PruneToTarget.multiple),
        samples=or_default(asked.samples, PruneToTarget.samples),
        max_length=asked.max_length,
        seed=seed,
    )


def _part(asked: PruneOptions, number: int, count: int) -> PruneOptions:
    """Returns what is asked of one round."""
    if asked.target_latency is not None:
        raise UsageError("target-latency does not go with rounds; give --target-speedup")
    return replace(
        asked,
        heads=_of_the_rest(asked.heads, count),
        ffn=_of_the_rest(asked.ffn, count),
        target_params=_approached("target_params", asked.target_params, number / count),
        target_flops=_approached("target_flops", asked.target_flops, number / count),
        target_speedup=_power(asked.target_speedup, number / count),
    )


def _of_the_rest(fraction: float | None, count: int) -> float | None:
    if fraction is None:
        return None
    if not 0.0 <= fraction < 1.0:
        return fraction  # which the pass refuses
    return round(1.0 - math.pow(1.0 - fraction, 1.0 / count), 6)


def _approached(name: str, target: float | None, way: float) -> float | None:
    if target is not None and target >= 1.0:
        raise UsageError(f"{name} in rounds must be a part of the original, such as 0.5")
    return _power(target, way)


def _power(ratio: float | None, way: float) -> float | None:
    return None if ratio is None else round(math.pow(ratio, way), 6)
