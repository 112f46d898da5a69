"""The steps of a run: what is made and measured of which model, and how long each may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bertcompress.bert.families import longest_text
from bertcompress.bert.loading.load import load
from bertcompress.runtimes.ort.providers import ProviderSettings
from bertcompress.runtimes.torch.settings import TORCH_RUNTIMES
from gpu.engines import build_engines, check_engine_settings
from gpu.machine import machine_facts, usable
from gpu.measure import Scale, graphs_on_and_off, grid, parity, real_lengths
from gpu.models import SIZES, TINY, Size, make_checkpoint, make_graphs
from gpu.steps import Facts, SkippedError, Step
from gpu.subjects import ModelFolders, Opened, cpu_subjects, gpu_subjects

BATCHES, LENGTHS = (1, 8, 32, 128), (16, 32, 64, 128, 384)
SMALL_BATCHES, SMALL_LENGTHS = (1, 4), (16, 64)
TEXTS, SMALL_TEXTS = 1024, 96
"""Texts of the run on real lengths."""

SECONDS = 460.0
_RUN_GRAPHS = ("ort-cuda", "ort-tensorrt", "tensorrt")


@dataclass(frozen=True)
class Run:
    """What was asked for.

    Attributes:
        mode: ``gpu``, ``cpu`` or ``dry-run``.
        models: Folders named on the command line.
        work: Where models, engines and finished steps are.
        out: Where the report goes.
        seconds: For everything.
        threads: Of runs on the CPU.
        graphs: The graphs that are made of each model.
    """

    mode: str
    models: tuple[Path, ...]
    work: Path
    out: Path
    seconds: float
    threads: int
    graphs: tuple[str, ...]

    @property
    def tiny(self) -> bool:
        """Whether tiny models stand for the real ones."""
        return self.mode != "gpu" and not self.models


def plan(run: Run, say: Callable[[str], None]) -> tuple[list[Step], list[Opened]]:
    """Returns the steps of a run, and the runtimes that they leave open.

    Args:
        run: What was asked for.
        say: Takes a line for people.
    """
    steps, opened = [Step("machine", lambda _: machine_facts(threads=run.threads), 30)], []
    share = run.seconds / 460.0
    sizes = {} if run.models else (TINY if run.tiny else SIZES)
    named = [(folder.resolve().name, folder, None) for folder in run.models]
    made = [
        (f"{name}{'-pruned50' if pruned else ''}", None, (size, pruned))
        for name, size in reversed(sizes.items())
        for pruned in (False, True)
    ]
    for name, folder, how in (*named, *made):
        work = run.work / ("tiny" if run.tiny else "models") / name
        model = ModelFolders(name, folder or work / "checkpoint", work / "graphs", work / "engines")
        if how is not None:
            steps.append(Step(f"model:{name}", _maker(model, *how), 30 * share))
        steps.append(Step(f"graphs:{name}", _graph_maker(model, run), 90 * share))
        if run.mode == "cpu":
            subjects = cpu_subjects(model, threads=run.threads)
        else:
            subjects = gpu_subjects(model, threads=run.threads)
            steps.append(Step(f"engines:{name}", _engine_maker(model, run), 60 * share))
        if run.mode == "dry-run":
            names = [one.name for one in subjects]
            steps.append(Step(f"would-measure:{name}", _checker(model, names, say), 5))
            continue
        group = Opened(subjects, say)
        opened.append(group)
        steps += _measuring(model, group, run, share)
    return steps, opened


def _measuring(model: ModelFolders, group: Opened, run: Run, share: float) -> list[Step]:
    def scale() -> Scale:
        config = load(model.checkpoint).config
        small = run.mode == "cpu"
        batches, lengths = (SMALL_BATCHES, SMALL_LENGTHS) if small else (BATCHES, LENGTHS)
        texts = SMALL_TEXTS if small else TEXTS
        return Scale(batches, lengths, config.vocab_size, longest_text(config), texts)

    def closing(budget_s: float) -> Facts:
        try:
            return real_lengths(group, scale(), budget_s)
        finally:
            group.close()  # the next model's runtimes need the memory

    steps = [
        Step(
            f"parity:{model.name}",
            lambda budget_s: parity(group, model, scale(), threads=run.threads, budget_s=budget_s),
            60 * share,
        ),
        Step(f"grid:{model.name}", lambda budget_s: grid(group, scale(), budget_s), 30 * share),
        Step(f"lengths:{model.name}", closing, 10 * share),
    ]
    if run.mode == "gpu":
        steps.insert(1, Step(f"cuda-graphs:{model.name}", _graph_checker(model, run, scale), 10))
    return steps


def _graph_checker(
    model: ModelFolders, run: Run, scale: Callable[[], Scale]
) -> Callable[[float], Facts]:
    def work(_: float) -> Facts:
        found = usable("torch-cuda-fp16")
        if found != "usable":
            raise SkippedError(found)
        return graphs_on_and_off(model, scale(), threads=run.threads)

    return work


def _maker(model: ModelFolders, size: Size, pruned: bool) -> Callable[[float], Facts]:
    return lambda _: make_checkpoint(size, model.checkpoint, pruned=pruned)


def _graph_maker(model: ModelFolders, run: Run) -> Callable[[float], Facts]:
    def work(_: float) -> Facts:
        runners = [one for one in _RUN_GRAPHS if usable(one) == "usable"]
        if run.mode == "gpu" and not runners:
            raise SkippedError("no runtime here runs graphs on a GPU")
        by_tensorrt = run.mode != "gpu" or {"ort-tensorrt", "tensorrt"} & set(runners)
        wanted = tuple(one for one in run.graphs if by_tensorrt or one in ("fp32", "fp16"))
        return make_graphs(model.checkpoint, model.graphs, wanted)

    return work


def _engine_maker(model: ModelFolders, run: Run) -> Callable[[float], Facts]:
    def work(budget_s: float) -> Facts:
        if run.mode == "dry-run":
            return check_engine_settings(longest_text(load(model.checkpoint).config))
        found = usable("tensorrt")
        if found != "usable":
            raise SkippedError(found)
        graphs = tuple(one for one in run.graphs if one != "fp32")
        cache = run.work / "timing.cache"
        return build_engines(model, graphs, timing_cache=cache, budget_s=budget_s)

    return work


def _checker(
    model: ModelFolders, names: list[str], say: Callable[[str], None]
) -> Callable[[float], Facts]:
    """Makes every runtime's settings, as a run would, without a GPU."""

    def work(_: float) -> Facts:
        inputs = ("input_ids", "attention_mask", "token_type_ids")
        options = [
            ProviderSettings("cuda", graphs=True).options(inputs),
            ProviderSettings("tensorrt", cache=model.engines).options(inputs, ("fp16",)),
        ]
        say(f"  would measure {model.name}: {', '.join(names)}")
        return {
            "would_measure": names,
            "torch": {name: asdict(one) for name, one in TORCH_RUNTIMES.items()},
            "onnxruntime": [[name, given] for one in options for name, given in one],
        }

    return work
