"""The steps that the options of ``bertcompress prune`` stand for."""

from __future__ import annotations

from collections.abc import Mapping

from bertcompress.errors import UsageError
from bertcompress.recipes.recipe import StepSpec
from bertcompress_cli.make_artifact import typed

_REMOVED = ("heads", "ffn")


def by_score(
    heads: float | None, ffn: float | None, ranked: Mapping[str, object], multiple: int | None
) -> list[StepSpec]:
    """Returns the steps that rank units by a score and cut, with no re-fit."""
    steps = []
    if heads is not None:
        steps.append(StepSpec("prune-heads", {"fraction": heads, **ranked}))
    if ffn is not None:
        widths = {key: value for key, value in ranked.items() if key != "allow_empty_layers"}
        steps.append(StepSpec("prune-ffn", {"fraction": ffn, **widths, **typed(multiple=multiple)}))
    return steps


def in_rounds(
    asked: Mapping[str, object], rounds: int | None, recover: float | None
) -> list[StepSpec]:
    """Returns the steps of one-shot pruning, with distillation after each of the rounds.

    Every round removes the same part of what the one before it left; a target is approached in
    equal ratios of the original.

    Args:
        asked: The settings of the whole pruning.
        rounds: How many; None means one.
        recover: Epochs of distillation in all, shared by the rounds; None trains nothing.

    Raises:
        UsageError: If there are several rounds with nothing between them, or a target that is a
            number and no ratio.
    """
    count = 1 if rounds is None else rounds
    if count < 1 or (count > 1 and recover is None):
        raise UsageError(
            f"rounds must be 1 or more, and needs --recover to train after each, got {count}"
        )
    if count > 1 and "min_agreement" in asked:
        raise UsageError("min-agreement is checked before training; leave it out with rounds")
    steps = []
    for number in range(1, count + 1):
        steps.append(StepSpec("prune", dict(asked) if count == 1 else _part(asked, number, count)))
        if recover is not None:
            steps.append(StepSpec("recover", {"epochs": round(recover / count, 4)}))
    return steps


def _part(asked: Mapping[str, object], number: int, count: int) -> dict[str, object]:
    """Returns the settings of one round."""
    settings = dict(asked)
    for name in _REMOVED:
        value = settings.get(name)
        if isinstance(value, float) and 0.0 <= value < 1.0:
            settings[name] = round(1.0 - (1.0 - value) ** (1.0 / count), 6)
    for name in ("target_params", "target_flops", "target_speedup"):
        value = settings.get(name)
        if isinstance(value, float):
            if name != "target_speedup" and value >= 1.0:
                raise UsageError(f"{name} in rounds must be a part of the original, such as 0.5")
            settings[name] = round(value ** (number / count), 6)
            settings["reference"] = ""  # the recipe's own model
    if "target_latency" in settings and number < count:
        raise UsageError("target-latency does not go with rounds; give --target-speedup")
    return settings
