"""Removes the tokens that given texts do not use: half of a small model's bytes are embeddings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bertcompress.artifacts.artifact import Checkpoint, Kind
from bertcompress.bert.vocabulary import (
    always_kept,
    count_tokens,
    smaller_embeddings,
    smaller_tokenizer,
)
from bertcompress.errors import UsageError
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.samples import features_for
from bertcompress.passes.settings import Need, check_counts


@dataclass(frozen=True)
class VocabularyDetails:
    """What a smaller vocabulary tells: how many tokens are gone, and what is split anew."""

    removed: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PruneVocabulary(Pass[Checkpoint, Checkpoint]):
    """Keeps the tokens that the texts use, the special ones and all single characters.

    Texts like those given are split as before, so the answers to them do not change; other texts
    still encode, in shorter pieces, and their answers may.

    The examples must be all texts that there are of the kind that the model will answer.

    Attributes:
        minimum_count: Tokens that occur less often leave too.
        max_length: Longest text in tokens; None takes the model's, at most 512.
        seed: Not used; all passes have one.
    """

    minimum_count: int = 1
    max_length: int | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        check_counts(minimum_count=self.minimum_count)

    @property
    def needs(self) -> tuple[Need, ...]:
        """The texts."""
        return ("examples",)

    def check(self, context: Context) -> None:
        """Refuses a run without texts."""
        if not context.has_examples:
            raise UsageError(
                "which tokens are used is counted in texts and none were given; add --data"
            )

    def apply(
        self, checkpoint: Checkpoint, context: Context
    ) -> tuple[Checkpoint, VocabularyDetails]:
        """Returns the checkpoint with a smaller vocabulary.

        Raises:
            PassError: If its tokenizer is no WordPiece or Unigram.
        """
        context.progress("vocabulary", 0, 1)
        examples = context.examples
        before = int(checkpoint.config.vocab_size)
        features = features_for(checkpoint, examples, max_length=self.max_length)
        counts = count_tokens(
            (feature.inputs["input_ids"] for feature in features), vocabulary=before
        )
        used = np.flatnonzero(counts >= self.minimum_count)
        kept = sorted({int(token) for token in used} | always_kept(checkpoint.tokenizer))
        result = replace(
            checkpoint,
            model=smaller_embeddings(checkpoint.model, kept),
            tokenizer=smaller_tokenizer(checkpoint.tokenizer, kept),
        )
        lost = int(counts.sum() - counts[kept].sum())
        details = VocabularyDetails(
            f"{before - len(kept):,} of {before:,} tokens",
            (
                f"{len(used):,} tokens occur in {len(examples):,} texts",
                f"{lost / max(1, counts.sum()):.2%} of the texts' tokens are split anew",
            ),
        )
        context.progress("vocabulary", 1, 1)
        return result, details
