"""What the passes that prune heads and neurons share: settings, importance, the table."""

from __future__ import annotations

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.pruning.importance import (
    SCORE_NAMES,
    SCORES_FROM_DATA,
    SCORES_FROM_INPUTS,
    Importance,
    ScoreName,
    from_data,
    from_weights,
)
from bertcompress.bert.pruning.importance_from_inputs import from_inputs
from bertcompress.errors import UsageError, did_you_mean
from bertcompress.examples import Example
from bertcompress.passes.samples import batches_for
from bertcompress.progress import Progress

SCOPES = ("global", "layer")


def check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Fails with a UsageError unless the value is one of those allowed."""
    if value not in allowed:
        raise UsageError(
            f"{name} must be one of {', '.join(allowed)}, got {value!r}"
            + did_you_mean(str(value), allowed)
        )


def check_counts(**counts: int) -> None:
    """Fails with a UsageError unless every number is 1 or more."""
    for name, count in counts.items():
        if count < 1:
            raise UsageError(f"{name} must be 1 or more, got {count}")


def check_score(score: ScoreName | None, examples: tuple[Example, ...]) -> None:
    """Fails with a UsageError unless the score is known and has the data it needs."""
    if score is None:
        return
    check_choice("score", score, SCORE_NAMES)
    if score in SCORES_FROM_DATA and not examples:
        raise UsageError(
            f"score {score!r} is measured on data and none was given; add --data, or take "
            "magnitude, which needs none"
        )


def importance_of(
    checkpoint: Checkpoint,
    examples: tuple[Example, ...],
    *,
    score: ScoreName | None,
    samples: int,
    batch_size: int,
    max_length: int | None,
    seed: int,
    progress: Progress,
) -> Importance:
    """Scores heads and neurons: on the examples if there are any, else by their weights."""
    if score is None:
        score = "fisher" if examples else "magnitude"
    if score not in SCORES_FROM_DATA:
        return from_weights(checkpoint.model, score=score, seed=seed)
    batches = batches_for(
        checkpoint,
        examples,
        samples=samples,
        batch_size=batch_size,
        max_length=max_length,
        seed=seed,
    )
    if score in SCORES_FROM_INPUTS:
        return from_inputs(checkpoint.model, batches, score=score, seed=seed, progress=progress)
    return from_data(checkpoint.model, batches, score=score, seed=seed, progress=progress)


def note_of(importance: Importance) -> str:
    """Returns the sentence that says what the scores rest on."""
    if importance.samples:
        return f"importance: {importance.score} over {importance.samples} samples"
    return f"importance: {importance.score} of the weights, no data"
