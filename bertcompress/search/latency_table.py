"""Measures the latency table of a deployment: this machine, a runtime, a precision, real texts.

Models of equal layers with random weights (time does not depend on their values) are exported,
quantized if that is what will be deployed, and timed on the same single sentences, each in a
process of its own, turns interleaved.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bertcompress.artifacts.artifact import Artifact, Checkpoint, save
from bertcompress.artifacts.model_config import LONGEST
from bertcompress.bench.rounds import Entrant, measure_round
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.workload import Workload, passages, sample_features, single_stream
from bertcompress.bert.pruning.cost_table import CostTable, table_from_totals
from bertcompress.bert.structure import EncoderShape, shape_of
from bertcompress.bert.surgery import blank
from bertcompress.errors import UsageError, did_you_mean
from bertcompress.examples import Example
from bertcompress.inference.texts import Texts
from bertcompress.machine.environment import available_threads, cpu_model
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.settings import check_counts
from bertcompress.progress import Progress, silent
from bertcompress.runtimes import check_runtime

PRECISIONS = ("fp32", "int8")
DEPLOYED = {"ort-cpu": "ONNX Runtime", "openvino": "OpenVINO", "openvino-bf16": "OpenVINO, BF16"}
"""What each runtime is called where people read it; all of them run the exported graph."""
HEAD_STEPS, FFN_STEPS = 3, 3
"""Parts that the numbers of heads and of neurons are measured in."""


@dataclass(frozen=True)
class Timing:
    """How single sentences are timed.

    Attributes:
        length: Tokens of every sentence timed; None means as long as the examples are.
        threads: Of the runtime; None means what the machine has for us.
        sentences: Timed in each process and round.
        rounds: How often.
    """

    length: int | None = None
    threads: int | None = None
    sentences: int = 48
    rounds: int = 3

    def __post_init__(self) -> None:
        if self.length is not None and not 3 <= self.length <= LONGEST:
            raise UsageError(f"length must be within 3..{LONGEST} tokens, got {self.length}")
        check_counts(sentences=self.sentences, rounds=self.rounds)


@dataclass(frozen=True)
class MeasureLatency:
    """Measures single sentences in a runtime on this machine's CPU.

    Attributes:
        examples: Their lengths are what is timed.
        timing: How.
        precision: ``fp32`` or ``int8``: what will be deployed.
        runtime: What will run it: ``ort-cpu``, or ``openvino`` (``fp32`` only: its INT8 needs
            calibrated ranges, which random weights have none of).
        seed: Draws the sentences.
    """

    examples: tuple[Example, ...]
    timing: Timing = Timing()
    precision: str = "fp32"
    runtime: str = "ort-cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        check_deployment(self.precision, self.runtime)

    def table(self, checkpoint: Checkpoint, *, progress: Progress = silent) -> CostTable:
        """Measures the table for models like this one.

        Raises:
            MissingDependencyError: If the runtime is not installed.
            RunError: If a model can't be run.
        """
        check_runtime(self.runtime)
        shape = shape_of(checkpoint.model)
        probes = _probes(shape)
        with tempfile.TemporaryDirectory(prefix="bertcompress-latency-") as name:
            scratch = Path(name)
            folders = {}
            for number, (heads, ffn) in enumerate(probes):
                progress("latency table: models", number, len(probes))
                widths = (heads,) * shape.layers, (ffn,) * shape.layers
                alike = EncoderShape(*widths, shape.head_size, shape.hidden_size)
                model = replace(checkpoint, model=blank(checkpoint.model, alike))
                folders[f"{heads}-{ffn}"] = self._deployed(model, scratch / f"{heads}-{ffn}")
            progress("latency table: models", len(probes), len(probes))
            seconds = self._seconds(checkpoint, folders, scratch, "latency table", progress)
        totals = {probe: seconds[f"{probe[0]}-{probe[1]}"] for probe in probes}
        return table_from_totals(totals, layers=shape.layers, deployment=self.deployment)

    def seconds(
        self, models: Mapping[str, Artifact], *, progress: Progress = silent
    ) -> dict[str, float]:
        """Measures whole models against each other, by name, all of the same task.

        A checkpoint is exported, and quantized if `precision` says so; a graph runs as it is.
        """
        with tempfile.TemporaryDirectory(prefix="bertcompress-latency-") as name:
            scratch = Path(name)
            folders = {
                name: self._deployed(model, scratch / str(number))
                for number, (name, model) in enumerate(models.items())
            }
            first = next(iter(models.values()))
            return self._seconds(first, folders, scratch, "speed", progress)

    @property
    def deployment(self) -> str:
        """What is measured on, as people read it."""
        threads = self.timing.threads or available_threads()
        length = f"{self.timing.length} tokens, " if self.timing.length else ""
        return (
            f"{DEPLOYED[self.runtime]}, {self.precision.upper()}, {length}{threads} threads, "
            f"{cpu_model()}"
        )

    def _deployed(self, artifact: Artifact, folder: Path) -> Path:
        if not isinstance(artifact, Checkpoint):
            return save(artifact, folder)
        graph = ExportOnnx()(artifact)
        if self.precision == "int8":
            graph = QuantizeDynamic()(graph)
        return save(graph, folder)

    def _seconds(
        self,
        like: Artifact,
        folders: Mapping[str, Path],
        scratch: Path,
        stage: str,
        progress: Progress,
    ) -> dict[str, float]:
        """Returns each model's seconds a sentence: the mean of the medians over the rounds."""
        settings = BenchSettings(
            rounds=1,
            requests=self.timing.sentences,
            blocks=6,
            warm_minimum_s=0.2,
            warm_maximum_s=1.0,
        )
        workload = self._workload(like)
        entrants = [Entrant(name, folder, self.runtime) for name, folder in folders.items()]
        rounds: list[list[tuple[float, ...]]] = []
        for number in range(self.timing.rounds):
            progress(stage, number, self.timing.rounds)
            done = measure_round(
                entrants,
                [workload],
                settings=settings,
                threads=self.timing.threads or available_threads(),
                number=number,
                scratch=scratch,
                step=lambda what: None,
            )
            rounds.append([entrant.seconds[0] for entrant in done.entrants])
        progress(stage, self.timing.rounds, self.timing.rounds)
        middle = np.median(np.asarray(rounds), axis=0).mean(axis=1)  # [models]
        return {name: float(value) for name, value in zip(folders, middle, strict=True)}

    def _workload(self, like: Artifact) -> Workload:
        length, sentences = self.timing.length, self.timing.sentences
        some = random.Random(self.seed).sample(self.examples, min(sentences, len(self.examples)))
        texts = Texts.of(like, some)
        if length is not None:
            return passages(texts.features, sequence_length=length, repeats=sentences)
        drawn = sample_features(texts.features, sentences, seed=self.seed)
        return single_stream(drawn, pad_token_id=texts.pad_token_id, name="own-lengths")


def check_deployment(precision: str, runtime: str) -> None:
    """Fails with a UsageError where nothing of the kind can be timed."""
    if precision not in PRECISIONS:
        raise UsageError(
            f"precision must be {' or '.join(PRECISIONS)}, got {precision!r}"
            + did_you_mean(precision, PRECISIONS)
        )
    if runtime not in DEPLOYED:
        raise UsageError(
            f"runtime must be {' or '.join(DEPLOYED)}, got {runtime!r}"
            + did_you_mean(runtime, DEPLOYED)
        )
    if precision == "int8" and runtime != "ort-cpu":
        raise UsageError(f"precision int8 can't be measured in {runtime}; take ort-cpu")


def _probes(shape: EncoderShape) -> list[tuple[int, int]]:
    """Returns the widths to measure: all of one kind with parts of the other."""
    most_heads, most_ffn = shape.hidden_size // shape.head_size, max(shape.layer_ffn)
    heads = {round(most_heads * step / HEAD_STEPS) for step in range(HEAD_STEPS + 1)}
    ffn = {round(most_ffn * step / FFN_STEPS) for step in range(FFN_STEPS + 1)}
    return [
        *((count, most_ffn) for count in sorted(heads)),
        *((most_heads, count) for count in sorted(ffn - {most_ffn})),
    ]
