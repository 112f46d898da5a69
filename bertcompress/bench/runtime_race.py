"""Which runtime is fastest for an artifact on this machine, each at its best settings.

Each runtime is tuned by itself first (`bertcompress.bench.tune`). Times of two processes
minutes apart differ by more than two good runtimes do, so the winners then take turns: all are open
at once, one measures while the others wait, in turned order from turn to turn, and medians of the
turns are compared. Runtimes within `LEVEL` of the fastest are as fast, and the first in the list is
taken: the fewer that a deployment needs the better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bertcompress.artifacts.artifact import Kind, kind_of
from bertcompress.bench.interleaved import Measure, in_turns, median_seconds, sentence_rate, typical
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.tune import LATENCY_SENTENCES, tune_variant
from bertcompress.bench.tuning import LEVEL
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.worker.messages import ArrangeStreams
from bertcompress.bench.workload import all_at_once, sample_features, save_workload, single_stream
from bertcompress.errors import MissingError, RunError, UsageError
from bertcompress.inference.best_settings import RuntimeChoice, RuntimeSettings, save_runtime_choice
from bertcompress.machine.environment import cpu_model
from bertcompress.progress import Progress, silent
from bertcompress.runtimes import runtime_for, why_unusable
from bertcompress.runtimes.catalog import CATALOG

ON_CPU: Mapping[Kind, tuple[str, ...]] = {
    "checkpoint": ("torch-cpu",),
    "onnx": ("ort-cpu", "openvino"),
    "engine": ("ort-cpu", "openvino"),
}
"""What is compared on a CPU, by what the folder holds: runtimes that compute floats in FP32."""
EIGHT_BITS = ("torch-cuda-int8", "torch-cuda-fp8")
"""Those that quantize on their own account: they have to be asked for."""
TURNS = 6
SLICE_S = 1.0


@dataclass(frozen=True)
class RuntimeSpeed:
    """One runtime at its best settings.

    Attributes:
        runtime: Its name.
        settings: The best.
        single_s: Median seconds of one text alone, over the turns.
        sentences_per_s: The median rate over the turns.
    """

    runtime: str
    settings: RuntimeSettings
    single_s: float
    sentences_per_s: float


@dataclass(frozen=True)
class RuntimeRace:
    """What was measured, and what is fastest.

    Attributes:
        speeds: Of all runtimes that run the artifact, in the order asked for.
        refused: Why others do not, by name.
        choice: The fastest.
        saved: Whether it stands in the artifact's manifest now.
    """

    speeds: tuple[RuntimeSpeed, ...]
    refused: dict[str, str]
    choice: RuntimeChoice
    saved: bool


def usual_runtimes(folder: Path) -> tuple[str, ...]:
    """Returns what is compared unless it is said: on the CPU, and on the GPU what is usable."""
    kind = kind_of(folder)
    takes = {kind, "onnx"} if kind == "engine" else {kind}
    on_gpu = (entry.name for entry in CATALOG if entry.on_gpu and entry.runs in takes)
    return (
        *ON_CPU[kind],
        *(name for name in on_gpu if name not in EIGHT_BITS and why_unusable(name) is None),
    )


def choose_runtime(
    folder: Path,
    subject: Subject,
    settings: BenchSettings,
    runtimes: Sequence[str],
    *,
    threads: int,
    progress: Progress = silent,
) -> RuntimeRace:
    """Measures an artifact in several runtimes and saves which is fastest in its manifest.

    Args:
        folder: The artifact.
        subject: Where the texts come from.
        settings: How the best settings of each are searched.
        runtimes: Names; one that is not installed or can't run the artifact is left out.
        threads: The CPUs that may be used.
        progress: Is told what is done.

    Raises:
        UsageError: If no runtime is named.
        RunError: If none of them runs the artifact.
    """
    if not runtimes:
        raise UsageError("no runtime was named to choose from; name one or more, or leave them out")
    refused: dict[str, str] = {}
    with TemporaryDirectory(prefix="bertcompress-tune-") as name:
        scratch = Path(name)
        best: dict[str, RuntimeSettings] = {}
        for runtime in dict.fromkeys(runtimes):
            place = scratch / runtime
            place.mkdir()
            try:
                variant = Variant(runtime, folder, runtime_for(folder, runtime))
                best[runtime] = tune_variant(
                    variant,
                    subject,
                    settings,
                    threads=threads,
                    scratch=place,
                    told=partial(progress, f"tune {runtime}"),
                ).settings
            except (MissingError, RunError) as error:
                refused[runtime] = str(error)
        if not best:
            raise RunError(
                f"none of {', '.join(runtimes)} runs {folder}; "
                + "; ".join(f"{key}: {why}" for key, why in refused.items())
            )
        speeds = _race(folder, subject, settings, best, threads, scratch, progress)
    single = _first_of_the_best([(speed.runtime, speed.single_s) for speed in speeds])
    many = _first_of_the_best([(speed.runtime, 1 / speed.sentences_per_s) for speed in speeds])
    choice = RuntimeChoice(single, many, cpu_model(), threads)
    return RuntimeRace(speeds, refused, choice, saved=save_runtime_choice(folder, choice))


def _race(
    folder: Path,
    subject: Subject,
    settings: BenchSettings,
    best_of: dict[str, RuntimeSettings],
    threads: int,
    scratch: Path,
    progress: Progress,
) -> tuple[RuntimeSpeed, ...]:
    features = sample_features(subject.features, settings.offline_sentences, seed=settings.seed)
    pad = subject.pad_token_id
    alone = scratch / "alone.npz"
    some = typical(features, LATENCY_SENTENCES)
    save_workload(single_stream(some, pad_token_id=pad, name="tune"), alone)

    def single(process: WorkerProcess, best: RuntimeSettings) -> Measure:
        process.ask(ArrangeStreams(1, best.latency_threads))
        return median_seconds(process, alone, settle=len(some), count=len(some))

    def many(process: WorkerProcess, best: RuntimeSettings) -> Measure:
        path = scratch / f"{best.runtime}.npz"
        workload = all_at_once(
            features,
            batch_size=best.batch_size,
            sort_by_length=best.sort_by_length,
            pad_token_id=pad,
        )
        save_workload(workload, path)
        process.ask(ArrangeStreams(best.streams, best.threads))
        return sentence_rate(process, path, slice_s=SLICE_S)

    with _open_all(folder, best_of, threads, scratch) as processes:
        latencies = _turns(processes, best_of, single, "one text", progress)
        rates = _turns(processes, best_of, many, "many texts", progress)
    return tuple(
        RuntimeSpeed(name, best_of[name], latencies[name], rates[name]) for name in processes
    )


@contextmanager
def _open_all(
    folder: Path, best: dict[str, RuntimeSettings], threads: int, scratch: Path
) -> Iterator[dict[str, WorkerProcess]]:
    with ExitStack() as stack:
        opened = {}
        for name in best:
            process = stack.enter_context(WorkerProcess(name, scratch=scratch, threads=threads))
            process.load(folder, name)
            opened[name] = process
        yield opened


def _turns(
    processes: dict[str, WorkerProcess],
    best: dict[str, RuntimeSettings],
    arranged: Callable[[WorkerProcess, RuntimeSettings], Measure],
    what: str,
    progress: Progress,
) -> dict[str, float]:
    """Returns the median over the turns of what each process measures."""
    measures = {name: arranged(process, best[name]) for name, process in processes.items()}
    values = in_turns(measures, TURNS, told=partial(progress, f"race: {what}"))
    return {name: median(turns) for name, turns in values.items()}


def _first_of_the_best(seconds: Sequence[tuple[str, float]]) -> str:
    least = min(taken for _, taken in seconds)
    return next(name for name, taken in seconds if taken <= least * (1 + LEVEL))
