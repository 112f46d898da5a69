"""Times quantized graphs on this machine, and judges their answers on texts held out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from bertcompress.artifacts.artifact import ONNX_NAME, OnnxModel, save
from bertcompress.bert.answers import outputs_divergence
from bertcompress.data.partition import sample
from bertcompress.errors import UsageError
from bertcompress.examples import Example
from bertcompress.inference.streams import Outputs
from bertcompress.inference.texts import Texts
from bertcompress.machine.environment import available_threads
from bertcompress.profiling.profile_run import profile_run
from bertcompress.runtimes.fitting import IN_MEMORY
from bertcompress.runtimes.ort.runtime import OrtRuntime
from bertcompress.search.int8_candidates import Judgement
from bertcompress.search.latency_table import MeasureLatency
from bertcompress.tasks.base import Prediction, pad
from bertcompress.tasks.same_answers import same_answers
from bertcompress.tasks.sentence_embedding import SentenceEmbedding

_PROFILED = 32
"""Texts on which the time of single products is taken."""


@dataclass(frozen=True)
class QuantizationTrials:
    """Runs graphs in ONNX Runtime on this machine.

    Attributes:
        held_out: Texts to judge by, with labels or without, none that ranges were found on.
        latency: Times.
        samples: The number of texts that are answered.
        quick_samples: Their number while products are ranked.
        seed: Draws them.
    """

    held_out: tuple[Example, ...]
    latency: MeasureLatency
    samples: int = 1000
    quick_samples: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.held_out:
            raise UsageError(
                "the fastest INT8 that holds its accuracy is judged on texts held out, and there "
                "are none; give more with --data, or take --method static"
            )
        if self.samples < 1 or self.quick_samples < 1:
            raise UsageError(f"samples must be 1 or more, got {self.samples}")

    def judge(
        self, models: Mapping[str, OnnxModel], *, against: OnnxModel, quick: bool = False
    ) -> dict[str, Judgement]:
        """Judges graphs by their answers, one text at a time.

        Args:
            models: By name.
            against: The float graph.
            quick: Whether to take fewer texts.
        """
        texts = self._texts(against, self.quick_samples if quick else self.samples)
        wanted = self._answers(texts, against)
        return {
            name: _judgement(texts, wanted, self._answers(texts, model))
            for name, model in models.items()
        }

    def product_seconds(self, model: OnnxModel) -> dict[str, float]:
        """Returns the seconds of each weight product on typical texts, by module."""
        texts = self._texts(model, self.quick_samples)
        feeds = [
            pad([feature], pad_token_id=texts.pad_token_id)
            for feature in texts.features[:_PROFILED]
        ]
        with tempfile.TemporaryDirectory(prefix="bertcompress-products-") as folder:
            ran = profile_run(
                save(model, Path(folder) / "model"), "ort-cpu", feeds, threads=self._threads
            )
        seconds: dict[str, float] = {}
        for node in ran.nodes:
            if node.module is not None:
                seconds[node.module] = seconds.get(node.module, 0.0) + median(node.seconds)
        return seconds

    @property
    def _threads(self) -> int:
        return self.latency.timing.threads or available_threads()

    def _texts(self, model: OnnxModel, count: int) -> Texts:
        drawn = sample(self.held_out, min(count, len(self.held_out)), seed=self.seed)
        return Texts.of(model, drawn)

    def _answers(self, texts: Texts, model: OnnxModel) -> _Answers:
        with tempfile.TemporaryDirectory(prefix="bertcompress-judge-") as folder:
            path = save(model, Path(folder) / "model") / ONNX_NAME
            with OrtRuntime(path, threads=self._threads, facts=IN_MEMORY) as runtime:
                outputs = texts.outputs(runtime, batch_size=1)
        return _Answers(outputs, texts.predictions(outputs))


@dataclass(frozen=True)
class _Answers:
    outputs: Sequence[Outputs]
    predictions: Sequence[Prediction]


def _judgement(texts: Texts, wanted: _Answers, answers: _Answers) -> Judgement:
    pairs = zip(wanted.outputs, answers.outputs, strict=True)
    losses = [outputs_divergence(*pair, problem=texts.problem) for pair in pairs]
    return Judgement(_drop(texts, wanted, answers), max(0.0, mean(losses)))


def _drop(texts: Texts, wanted: _Answers, found: _Answers) -> float:
    if texts.labelled or isinstance(texts.task, SentenceEmbedding):
        before, after = (
            texts.task.score(
                answers.predictions, texts.examples, reference=wanted.predictions
            ).value
            for answers in (wanted, found)
        )
        return before - after
    return 1.0 - mean(same_answers(wanted.predictions, found.predictions))
