"""Times quantized graphs on this machine, and judges their answers on texts held out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING

import numpy as np

from bertcompress.artifacts.artifact import ONNX_NAME, OnnxModel, save
from bertcompress.bert.answers import answer_loss
from bertcompress.bert.families import cut_length, pad_token_of
from bertcompress.data.partition import sample
from bertcompress.errors import UsageError
from bertcompress.examples import Example
from bertcompress.inference.streams import Outputs, Streams
from bertcompress.machine.environment import available_threads
from bertcompress.profiling.profile_run import profile_run
from bertcompress.progress import Progress
from bertcompress.runtimes.ort.runtime import OrtRuntime
from bertcompress.search.int8_candidates import Judgement
from bertcompress.search.latency_table import MeasureLatency
from bertcompress.tasks import make_task
from bertcompress.tasks.base import Feature, Prediction, Task, pad
from bertcompress.tasks.same_answers import same_answers

if TYPE_CHECKING:
    import torch


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
        texts = _Texts.of(
            against, self.held_out, self.quick_samples if quick else self.samples, self.seed
        )
        wanted = texts.answers(against, self._threads)
        return {
            name: texts.judgement(wanted, texts.answers(model, self._threads))
            for name, model in models.items()
        }

    def seconds(self, models: Mapping[str, OnnxModel], *, progress: Progress) -> dict[str, float]:
        """Times graphs against each other, each in a process of its own: seconds a text."""
        return self.latency.seconds(models, progress=progress)

    def product_seconds(self, model: OnnxModel) -> dict[str, float]:
        """Returns the seconds of each weight product on typical texts, by module."""
        texts = _Texts.of(model, self.held_out, self.quick_samples, self.seed)
        feeds = [texts.feed([one]) for one in texts.features[:32]]
        with tempfile.TemporaryDirectory(prefix="bertcompress-products-") as folder:
            ran = profile_run(
                save(model, Path(folder) / "model"), "ort-cpu", feeds, threads=self._threads
            )
        found: dict[str, float] = {}
        for node in ran.nodes:
            if node.module is not None:
                found[node.module] = found.get(node.module, 0.0) + median(node.seconds)
        return found

    @property
    def _threads(self) -> int:
        return self.latency.timing.threads or available_threads()


@dataclass(frozen=True)
class _Answers:
    outputs: Sequence[Outputs]
    predictions: Sequence[Prediction]


@dataclass(frozen=True)
class _Texts:
    """Held-out texts as a model's features."""

    task: Task
    examples: tuple[Example, ...]
    features: tuple[Feature, ...]
    pad_token_id: int
    problem: str | None

    @classmethod
    def of(cls, model: OnnxModel, examples: tuple[Example, ...], count: int, seed: int) -> _Texts:
        drawn = sample(examples, min(count, len(examples)), seed=seed)
        task = make_task(model.task, model.config)
        features = tuple(task.encode(model.tokenizer, drawn, max_length=cut_length(model.config)))
        padding = pad_token_of(model.tokenizer)
        return cls(task, tuple(drawn), features, padding, model.config.problem_type)

    def feed(self, features: Sequence[Feature]) -> dict[str, np.ndarray]:
        return dict(pad(features, pad_token_id=self.pad_token_id))

    def answers(self, model: OnnxModel, threads: int) -> _Answers:
        with tempfile.TemporaryDirectory(prefix="bertcompress-judge-") as folder:
            path = save(model, Path(folder) / "model") / ONNX_NAME
            with OrtRuntime(path, threads=threads) as runtime, Streams([runtime]) as streams:
                outputs = streams.run_features(
                    self.features, batch_size=1, pad_token_id=self.pad_token_id
                )
        return _Answers(outputs, self.task.predict(outputs, self.features, self.examples))

    def judgement(self, wanted: _Answers, found: _Answers) -> Judgement:
        pairs = zip(wanted.outputs, found.outputs, self.features, strict=True)
        losses = [self._divergence(one, other, feature.length) for one, other, feature in pairs]
        return Judgement(self._drop(wanted, found), max(0.0, mean(losses)))

    def _drop(self, wanted: _Answers, found: _Answers) -> float:
        if all(feature.targets for feature in self.features):
            before, after = (
                self.task.score(one.predictions, self.examples, reference=wanted.predictions).value
                for one in (wanted, found)
            )
            return before - after
        return 1.0 - mean(same_answers(wanted.predictions, found.predictions))

    def _divergence(self, wanted: Outputs, found: Outputs, length: int) -> float:
        import torch

        real = torch.ones(1, length, dtype=torch.bool)
        one, other = _tensors(wanted), _tensors(found)
        return float(answer_loss(one, other, real, temperature=1.0, problem=self.problem))


def _tensors(outputs: Outputs) -> dict[str, torch.Tensor]:
    import torch

    return {name: torch.from_numpy(np.asarray(values))[None] for name, values in outputs.items()}
