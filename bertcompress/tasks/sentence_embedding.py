"""Sentence embeddings: a text's token vectors become one vector.

The model's own files tell how, see `bertcompress.tasks.embedding_settings`: texts get a prompt,
token vectors are pooled, the pooled vector goes through further layers. A graph may do all of it
itself: then it gives ``sentence_embedding`` and not ``last_hidden_state``. A pair is encoded as two
features, and its similarity is the cosine of the two vectors.

The score compares with the original model (``cosine_to_reference``, the mean cosine between each
vector and the original's) and, where pairs have numbers as labels, with people (``spearman``).

Source: Reimers and Gurevych, "Sentence-BERT", EMNLP 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from bertcompress.tasks.embedding_settings import EmbeddingSettings, read_embedding
from bertcompress.tasks.encoding import encode_texts, lowercased, pairs_of, prompt_length
from bertcompress.tasks.metrics import pearson, ranks, spearman
from bertcompress.tasks.outputs import Floats, check_counts, examples_of, output_array
from bertcompress.tasks.pooling import POOLINGS, Pooling, pool
from bertcompress.tasks.transformer_settings import TransformerSettings
from bertcompress.tasks.vector_steps import Normalize, VectorStep

if TYPE_CHECKING:
    from bertcompress.artifacts.model_config import ModelConfig


@dataclass(frozen=True)
class SentenceEmbedding:
    """Turns texts into vectors.

    Attributes:
        pooling: One of `bertcompress.tasks.pooling.POOLINGS`, or several, one after the other.
        normalize: Whether vectors are divided by their length in the end.
        include_prompt: Whether the prompt's tokens are pooled too.
        steps: What is done to the pooled vector before.
        texts: What is done to the texts.
    """

    pooling: Pooling | tuple[Pooling, ...] = "mean"
    normalize: bool = False
    include_prompt: bool = True
    steps: tuple[VectorStep, ...] = ()
    texts: TransformerSettings = field(default_factory=TransformerSettings)

    name = "feature-extraction"
    primary_metric = "cosine_to_reference"
    output_names = ("last_hidden_state",)
    label_kind: ClassVar[LabelKind] = "auto"

    def __post_init__(self) -> None:
        for pooling in self.poolings:
            if pooling not in POOLINGS:
                raise UsageError(f"pooling must be {' or '.join(POOLINGS)}, got {pooling!r}")

    @classmethod
    def from_config(cls, config: ModelConfig) -> Self:
        """Returns the task with mean pooling; a configuration does not say how to pool."""
        return cls()

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Returns the task as the Sentence Transformers files of a folder say.

        Args:
            files: From `bertcompress.artifacts.artifact_files.read_side_files`.

        Raises:
            LoadError: They ask for what is not known.
        """
        return cls.from_settings(read_embedding(files))

    @classmethod
    def from_settings(cls, settings: EmbeddingSettings) -> Self:
        """Returns the task with these settings."""
        steps, normalize = settings.steps, False
        if steps and isinstance(steps[-1], Normalize):
            steps, normalize = steps[:-1], True
        poolings = settings.poolings
        return cls(
            poolings[0] if len(poolings) == 1 else poolings,
            normalize,
            settings.include_prompt,
            steps,
            settings.texts,
        )

    @property
    def poolings(self) -> tuple[Pooling, ...]:
        """The poolings whose vectors are put one after the other."""
        return (self.pooling,) if isinstance(self.pooling, str) else self.pooling

    @property
    def max_length(self) -> int | None:
        """Where the folder says that texts are cut, tokens; None where it does not."""
        return self.texts.max_length

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
        if self.texts.lower_case:
            tokenizer = lowercased(tokenizer)
        prompt, skipped = self.texts.prompt, 0
        if prompt and not self.include_prompt:
            skipped = prompt_length(tokenizer, prompt, max_length=max_length)
        columns = [[text.text for text in texts]]
        pairs = pairs_of(texts)
        if pairs is not None:
            columns.append(pairs)
        encoded = [
            encode_texts(tokenizer, [prompt + text for text in column], max_length=max_length)
            for column in columns
        ]
        return [
            Feature(position, row.inputs, is_cut=row.is_cut, prompt=skipped)
            for position, rows in enumerate(zip(*encoded, strict=True))
            for row in rows
        ]

    def predict(
        self, outputs: Sequence[Arrays], features: Sequence[Feature], examples: Sequence[Example]
    ) -> list[Prediction]:
        """Returns each example's vector, float32 ``[hidden]``, or a pair's, ``[2, hidden]``."""
        check_counts(outputs, features)
        vectors: list[list[Floats]] = [[] for _ in examples]
        for output, feature in zip(outputs, features, strict=True):
            vectors[feature.example_index].append(self._vector(output, feature))
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

    def _vector(self, output: Arrays, feature: Feature) -> Floats:
        """Returns a text's vector from what the model gave for its tokens."""
        if "sentence_embedding" in output:  # the graph has done the rest
            vector = output_array(output, "sentence_embedding", shape=(None,))
        else:
            states = output_array(output, "last_hidden_state", shape=(feature.length, None))
            vector = pool(states, self.poolings, skip=feature.prompt)
            for step in (*self.steps, *([Normalize()] if self.normalize else [])):
                vector = step(vector)
        return vector[: self.texts.truncate_dim]


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
