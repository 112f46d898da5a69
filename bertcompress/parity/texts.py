"""The texts that a parity ladder answers, and how two models' answers to them are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.artifact import Artifact
from bertcompress.bert.answers import outputs_agreement
from bertcompress.bert.families import longest_text, pad_token_of
from bertcompress.inference.deployed import task_for
from bertcompress.inference.streams import Outputs
from bertcompress.inference.texts import Texts
from bertcompress.parity.bounds import Bounds
from bertcompress.parity.outputs import Parity, compare_outputs, parity_feeds
from bertcompress.tasks import pad
from bertcompress.tasks.base import Feature, IntArray, Prediction, Score


@dataclass(frozen=True)
class ParityTexts(Texts):
    """Texts of a ladder; where the tokens were drawn, there are no examples.

    Attributes:
        words: What they are, in words.
    """

    words: str = ""

    def bounded(self, bounds: Bounds) -> Bounds:
        """Returns the bounds that these texts can be held to: drawn tokens have no meaning."""
        if self.examples:
            return bounds
        return replace(bounds, min_agreement=None, max_drop=None)

    def parity(self, expected: Sequence[Outputs], got: Sequence[Outputs]) -> Parity:
        """Compares outputs.

        Raises:
            ParityError: If a shape differs or a value is not a finite number.
        """
        whole = [{"attention_mask": _ones(feature)} for feature in self.features]
        return compare_outputs(
            [_batch(outputs) for outputs in expected], [_batch(outputs) for outputs in got], whole
        )

    def agreement(self, expected: Sequence[Outputs], got: Sequence[Outputs]) -> float:
        """Returns how alike the answers are, see `bertcompress.bert.answers`."""
        import torch

        alike = [
            outputs_agreement(wanted, other, problem=self.problem)
            for wanted, other in zip(expected, got, strict=True)
        ]
        return float(torch.cat(alike).mean())

    def judged(
        self, outputs: Sequence[Outputs], *, reference: Sequence[Prediction] | None = None
    ) -> tuple[list[Prediction], Score | None]:
        """Returns the answers and their metrics, None where there is nothing to judge them by."""
        if not self.examples:
            return [], None
        predictions = self.predictions(outputs)
        if not self.labelled and self.task.name != "feature-extraction":
            return predictions, None
        return predictions, self.task.score(
            predictions, self.examples, reference=reference or predictions
        )

    def worst(self, expected: Sequence[Outputs], got: Sequence[Outputs]) -> dict[str, IntArray]:
        """Returns the text whose outputs differ most, in a batch with the longest one."""
        noise = [
            max(_largest(values, other.get(name)) for name, values in wanted.items())
            for wanted, other in zip(expected, got, strict=True)
        ]
        chosen = self.features[int(np.argmax(noise))]
        longest = max(self.features, key=lambda feature: feature.length)
        both = [chosen] if longest is chosen else [chosen, longest]
        return pad(both, pad_token_id=self.pad_token_id)


def drawn_texts(artifact: Artifact, *, seed: int = 0) -> ParityTexts:
    """Returns tokens drawn from the whole vocabulary, which is harsher than real text."""
    config = artifact.config
    feeds = parity_feeds(vocabulary=config.vocab_size, longest=longest_text(config), seed=seed)
    features: list[Feature] = []
    for feed in feeds:
        for row, length in enumerate(feed["attention_mask"].sum(axis=1)):
            inputs = {name: values[row, :length] for name, values in feed.items()}
            features.append(Feature(len(features), inputs))
    return ParityTexts(
        task=task_for(artifact),
        features=features,
        examples=(),
        words="tokens drawn from the vocabulary",
        problem=config.problem_type,
        pad_token_id=pad_token_of(artifact.tokenizer),
    )


def _ones(feature: Feature) -> IntArray:
    return np.ones((1, feature.length), dtype=np.int64)


def _batch(outputs: Outputs) -> dict[str, NDArray[np.generic]]:
    return {name: np.asarray(values)[None] for name, values in outputs.items()}


def _largest(first: NDArray[np.generic], other: NDArray[np.generic] | None) -> float:
    """Returns the largest difference, infinite where there can be none."""
    if other is None or other.shape != first.shape:
        return np.inf
    largest = float(np.abs(first.astype(np.float64) - other.astype(np.float64)).max(initial=0.0))
    return largest if np.isfinite(largest) else np.inf
