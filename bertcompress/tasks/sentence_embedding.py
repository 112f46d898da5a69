"""Sentence embeddings: a text's token vectors become one vector.

*Mean* pooling averages the vectors of all tokens, ``[CLS]`` and ``[SEP]`` included, as
Sentence-BERT does; *cls* takes the first. Normalized vectors have length 1. A pair is encoded as
two features, and its similarity is the cosine of the two vectors.

The score compares with the original model (``cosine_to_reference``, the mean cosine between each
vector and the original's) and, where pairs have numbers as labels, with people (``spearman``).

Source: Reimers and Gurevych, "Sentence-BERT", EMNLP 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, cast

import numpy as np

from bertcompress.errors import DataError, RunError, UsageError
from bertcompress.examples import Example, TextExample
from bertcompress.tasks.base import (
    Arrays,
    Feature,
    FloatArray,
    LabelKind,
    Prediction,
    Score,
    Tokenizer,
)
from bertcompress.tasks.encoding import encode_texts, pairs_of
from bertcompress.tasks.metrics import pearson, ranks, spearman
from bertcompress.tasks.outputs import Floats, check_counts, examples_of, output_array
from bertcompress.tasks.pooling import POOLINGS, Pooling, read_pooling

if TYPE_CHECKING:
    from bertcompress.artifacts.model_config import ModelConfig


@dataclass(frozen=True)
class SentenceEmbedding:
    """Turns texts into vectors.

    Attributes:
        pooling: ``mean`` or ``cls``.
        normalize: Whether vectors are divided by their length.
    """

    pooling: Pooling = "mean"
    normalize: bool = False

    name = "feature-extraction"
    primary_metric = "cosine_to_reference"
    output_names = ("last_hidden_state",)
    label_kind: ClassVar[LabelKind] = "auto"

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise UsageError(f"pooling must be {' or '.join(POOLINGS)}, got {self.pooling!r}")

    @classmethod
    def from_config(cls, config: ModelConfig) -> Self:
        """Returns the task with mean pooling; a configuration does not say how to pool."""
        return cls()

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Returns the task as the folder's Sentence Transformers files say.

        Raises:
            LoadError: They ask for a pooling that is not known.
        """
        settings = read_pooling(folder)
        return cls(settings.pooling, settings.normalize)

    def check(self, examples: Sequence[Example]) -> None:
        """Fails where some are pairs and some not, or a number is not the label of a pair."""
        texts = examples_of(examples, TextExample, self.name)
        pairs = pairs_of(texts)
        numbered = [text for text in texts if isinstance(text.label, float)]
        if numbered and pairs is None:
            raise DataError(
                f"{numbered[0].id} has the number {numbered[0].label} and one text; a similarity "
                "needs two: type --text-pair NAME"
            )
        if numbered and len(numbered) < len(texts):
            raise DataError(
                f"{len(numbered):,} of {len(texts):,} pairs have a number as label; "
                "give all one, or none"
            )

    def encode(
        self, tokenizer: Tokenizer, examples: Sequence[Example], *, max_length: int
    ) -> list[Feature]:
        """Returns one feature a text: two for a pair, the second right after the first."""
        self.check(examples)
        texts = examples_of(examples, TextExample, self.name)
        firsts = encode_texts(tokenizer, [text.text for text in texts], max_length=max_length)
        pairs = pairs_of(texts)
        if pairs is None:
            return [Feature(position, row) for position, row in enumerate(firsts)]
        seconds = encode_texts(tokenizer, pairs, max_length=max_length)
        features: list[Feature] = []
        for position, both in enumerate(zip(firsts, seconds, strict=True)):
            features += [Feature(position, row) for row in both]
        return features

    def predict(
        self, outputs: Sequence[Arrays], features: Sequence[Feature], examples: Sequence[Example]
    ) -> list[Prediction]:
        """Returns each example's vector, float32 ``[hidden]``, or a pair's, ``[2, hidden]``."""
        check_counts(outputs, features)
        vectors: list[list[Floats]] = [[] for _ in examples]
        for output, feature in zip(outputs, features, strict=True):
            vectors[feature.example_index].append(self._pool(output, feature))
        missing = [place for place, own in enumerate(vectors) if not own]
        if missing:
            raise RunError(f"example {missing[0]} has no output; run all features of the data set")
        return [_prediction(own) for own in vectors]

    def score(
        self,
        predictions: Sequence[Prediction],
        examples: Sequence[Example],
        *,
        reference: Sequence[Prediction] | None = None,
    ) -> Score:
        """Compares with the original's vectors, and with numbers where pairs have them.

        Where there are numbers, Spearman decides and `correct` is the negative squared difference
        of an example's two ranks, both in 0..1; else it is the cosine to the original's vector.

        Raises:
            DataError: There are neither numbers nor a reference.
        """
        texts = examples_of(examples, TextExample, self.name)
        self.check(texts)
        values: dict[str, float] = {}
        correct: tuple[float, ...] = ()
        vectors = [_vectors(prediction) for prediction in predictions]
        if reference is not None and texts:
            originals = [_vectors(prediction) for prediction in reference]
            pairs = zip(vectors, originals, strict=True)
            cosines = [float(_cosines(own, other).mean()) for own, other in pairs]
            values["cosine_to_reference"] = sum(cosines) / len(cosines)
            correct = tuple(cosines)
        gold = [text.label for text in texts if isinstance(text.label, float)]
        if gold:
            labels = np.asarray(gold, dtype=np.float64)
            similarities = np.asarray([_cosines(own[:1], own[1:])[0] for own in vectors])
            values["spearman"] = spearman(similarities, labels)
            values["pearson"] = pearson(similarities, labels)
            correct = tuple((-_rank_errors(similarities, labels)).tolist())
        if not values:
            raise DataError(
                "embeddings are scored against the original model's or against numbers that pairs "
                "have as labels, and neither was given; give a reference, or pairs with numbers"
            )
        primary = "spearman" if gold else "cosine_to_reference"
        return Score(primary, values, {}, len(texts), correct)

    def to_json(self, example: Example, prediction: Prediction) -> dict[str, object]:
        """Returns id and vector, or a pair's two vectors and their cosine."""
        vectors = _vectors(prediction)
        if len(vectors) == 1:
            return {"id": example.id, "embedding": vectors[0].tolist()}
        return {"id": example.id, "embeddings": vectors.tolist(), **prediction.details}

    def _pool(self, output: Arrays, feature: Feature) -> Floats:
        states = output_array(output, "last_hidden_state", shape=(feature.length, None))
        vector: Floats = states[0] if self.pooling == "cls" else states.mean(axis=0)
        if not self.normalize:
            return vector
        return vector / max(float(np.linalg.norm(vector)), 1e-12)


def _prediction(vectors: Sequence[Floats]) -> Prediction:
    answer: FloatArray = np.stack(vectors).astype(np.float32)  # [texts, hidden]
    if len(answer) == 1:
        return Prediction(answer[0])
    cosine = float(_cosines(answer[:1], answer[1:])[0])
    details: Mapping[str, object] = {"cosine": cosine}
    return Prediction(answer, None, details)


def _vectors(prediction: Prediction) -> FloatArray:
    """Returns the vectors as ``[texts, hidden]``."""
    return np.atleast_2d(cast("FloatArray", prediction.answer))


def _cosines(left: FloatArray, right: FloatArray) -> Floats:
    """Returns the cosine of each row with the other side's; 0 where one is zero."""
    one, two = left.astype(np.float64), right.astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    return cast("Floats", (one * two).sum(axis=1) / np.maximum(lengths, 1e-12))


def _rank_errors(left: Floats, right: Floats) -> Floats:
    """Returns the squared differences of ranks, scaled to 0..1."""
    return ((ranks(left) - ranks(right)) / max(left.size - 1, 1)) ** 2
