"""Removes the tokens that given texts do not use: half of a small model's bytes are embeddings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bertcompress.artifacts.artifact import Artifact, Checkpoint, Kind, StepTimer
from bertcompress.bert.vocabulary import (
    always_kept,
    count_tokens,
    smaller_embeddings,
    smaller_tokenizer,
)
from bertcompress.errors import UsageError
from bertcompress.examples import Example
from bertcompress.passes.base import checkpoint_for, settings_of
from bertcompress.passes.prune.pruned import check_counts
from bertcompress.passes.samples import features_for
from bertcompress.progress import Progress, silent


@dataclass(frozen=True)
class PruneVocabulary:
    """Keeps the tokens that the texts use, the special ones and all single characters.

    Texts like those given are split as before, so the answers to them do not change; other texts
    still encode, in shorter pieces, and their answers may.

    Attributes:
        examples: All texts that there are of the kind that the model will answer.
        minimum_count: Tokens that occur less often leave too.
        max_length: Longest text in tokens; None takes the model's, at most 512.
        seed: Not used; all passes have one.
    """

    examples: tuple[Example, ...]
    minimum_count: int = 1
    max_length: int | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        check_counts(minimum_count=self.minimum_count)
        if not self.examples:
            raise UsageError(
                "which tokens are used is counted in texts and none were given; add --data"
            )

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> Checkpoint:
        """Returns the checkpoint with a smaller vocabulary.

        Raises:
            PassError: If the artifact is a graph, or its tokenizer is no WordPiece or Unigram.
        """
        checkpoint = checkpoint_for(self, artifact)
        timer = StepTimer(checkpoint)
        progress("vocabulary", 0, 1)
        before = int(checkpoint.config.vocab_size)
        features = features_for(checkpoint, self.examples, max_length=self.max_length)
        counts = count_tokens((one.inputs["input_ids"] for one in features), vocabulary=before)
        used = np.flatnonzero(counts >= self.minimum_count)
        kept = sorted({int(one) for one in used} | always_kept(checkpoint.tokenizer))
        result = replace(
            checkpoint,
            model=smaller_embeddings(checkpoint.model, kept),
            tokenizer=smaller_tokenizer(checkpoint.tokenizer, kept),
        )
        lost = int(counts.sum() - counts[kept].sum())
        step = timer.step(
            "PruneVocabulary",
            settings_of(self),
            result,
            details={
                "removed": f"{before - len(kept):,} of {before:,} tokens",
                "notes": [
                    f"{len(used):,} tokens occur in {len(self.examples):,} texts",
                    f"{lost / max(1, counts.sum()):.2%} of the texts' tokens are split anew",
                ],
            },
        )
        progress("vocabulary", 1, 1)
        return replace(result, history=(*checkpoint.history, step))
