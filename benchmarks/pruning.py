"""One-shot pruning, method against method: what each leaves of the accuracy at equal widths.

Removes the same parts of a model's heads and neurons with our pass and with others, several seeds
each (a seed draws the samples), and asks every model the whole test split:

    python benchmarks/pruning.py MODEL DATA --out benchmarks/reports/pruning-sst2 --work WORK

Nothing is trained. All methods get equally many samples. Kwon and K-prune also choose between heads
and neurons themselves, within the FLOPs that ours left ("own split"). Each finished cell is
kept under WORK until the code or the data changes, so that the same command goes on
where it was stopped. Writes OUT.json (each example's part in the metric, of each cell) and OUT.md.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baselines.flops import UnitFlops
from baselines.kprune import KPrune
from baselines.kwon import KwonPrune
from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bench.metric_rows import metric_rows
from bertcompress.bench.state import StateFolder
from bertcompress.bert.families import pad_token_of
from bertcompress.bert.loading.load import load
from bertcompress.bert.pruning.importance import ScoreName
from bertcompress.bert.structure import shape_of
from bertcompress.codec import to_plain
from bertcompress.data import load_dataset
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example, fingerprint_of
from bertcompress.files import write_atomically
from bertcompress.inference.answers import predict_all
from bertcompress.machine.environment import read_environment
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.prune.prune import Prune
from bertcompress.passes.prune.prune_units import PruneFfn, PruneHeads
from bertcompress.runtimes.torch.runtime import TorchRuntime
from bertcompress.tasks import make_task
from pruning_report import Cell, Experiment, text_of

ROOT = Path(__file__).resolve().parents[1]
CODE = ("bertcompress/bert", "bertcompress/numerics", "bertcompress/passes", "benchmarks/baselines")
"""A change of these folders' code makes finished cells worthless."""
DENSE, OURS = "not pruned", "ours"


@dataclass(frozen=True)
class Request:
    """What a cell is to do.

    Attributes:
        examples: With labels.
        fraction: Of all heads and of all neurons, the part to remove.
        flops: Of their FLOPs, the part that ours removed with this fraction and seed.
        samples: For each method.
        seed: Draws them.
    """

    examples: tuple[Example, ...]
    fraction: float
    flops: float
    samples: int
    seed: int


Prunes = list[Pass[Checkpoint, Checkpoint]]


def scored(score: ScoreName) -> Callable[[Request], Prunes]:
    """Returns the maker of passes that cut by one score and re-fit nothing."""

    def passes(a: Request) -> Prunes:
        return [
            kind(a.fraction, score=score, samples=a.samples, seed=a.seed)
            for kind in (PruneHeads, PruneFfn)
        ]

    return passes


def ours(a: Request, *, refit: bool = True) -> Prunes:
    """Returns our pass."""
    return [Prune(heads=a.fraction, ffn=a.fraction, refit=refit, samples=a.samples, seed=a.seed)]


def published(
    method: type[KPrune] | type[KwonPrune], *, own_split: bool = False
) -> Callable[[Request], Prunes]:
    """Returns the maker of a published method's pass: our fractions, or our FLOPs."""

    def passes(a: Request) -> Prunes:
        if own_split:
            return [method(flops=a.flops, samples=a.samples, seed=a.seed)]
        return [method(heads=a.fraction, ffn=a.fraction, samples=a.samples, seed=a.seed)]

    return passes


METHODS: dict[str, Callable[[Request], Prunes]] = {
    OURS: ours,
    "K-prune": published(KPrune),
    "Kwon": published(KwonPrune),
    "K-prune, own split": published(KPrune, own_split=True),
    "Kwon, own split": published(KwonPrune, own_split=True),
    "ours, cut only": lambda a: ours(a, refit=False),
    "Fisher, cut only": scored("fisher"),
    "Taylor, cut only": scored("taylor"),
    "Wanda, cut only": scored("wanda"),
    "OBS, cut only": scored("obs"),
    "magnitude, cut only": scored("magnitude"),
    "random, cut only": scored("random"),
}
WITHOUT_SEED = ("magnitude, cut only",)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what is missing and writes the two files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, required=True, help="where to write, without .json")
    parser.add_argument("--work", type=Path, required=True, help="keeps finished cells")
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.3, 0.5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--samples", type=int, default=1024, help="for each method")
    parser.add_argument("--limit", type=int, help="the number of test examples; all if left out")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    bench = Bench.of(given.model, given.data, given.threads, given.limit)
    key = {"model": bench.digest, "samples": given.samples, "code": code_digest(ROOT)}
    state = StateFolder(given.work, to_plain({**key, "data": bench.fingerprint}))
    methods = list(dict.fromkeys([OURS, *given.methods]))  # all others are compared with ours
    plan = [(f, s, m) for f in given.fractions for s in given.seeds for m in methods]
    cells = tuple(bench.run(plan, state, samples=given.samples))
    experiment = Experiment(
        model=given.model.resolve().name,
        data=f"{Path(given.data).name} ({bench.fingerprint})",
        metric=bench.task.primary_metric,
        samples=given.samples,
        environment=read_environment(threads=given.threads, thread_variables={}),
        cells=cells,
    )
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        given.out.with_suffix(".json"), json.dumps(to_plain(experiment), indent=0) + "\n"
    )
    write_atomically(given.out.with_suffix(".md"), text_of(experiment))
    print(text_of(experiment))


class Bench:
    """A model, its data, and how cells are made of them."""

    def __init__(
        self,
        model: Path,
        checkpoint: Checkpoint,
        train: tuple[Example, ...],
        test: tuple[Example, ...],
        threads: int,
    ) -> None:
        self._checkpoint, self._train, self._test = checkpoint, train, test
        self._threads = threads
        self.task = make_task(checkpoint.task, checkpoint.config, folder=model)
        self._features = self.task.encode(checkpoint.tokenizer, test, max_length=128)
        shape = shape_of(checkpoint.model)
        length = float(np.mean([feature.length for feature in self._features]))
        self._costs = UnitFlops(shape.hidden_size, shape.head_size, length)
        weights = model / "model.safetensors"
        self.digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        self.fingerprint = fingerprint_of((*train, *test))

    @classmethod
    def of(cls, model: Path, data: str, threads: int, limit: int | None) -> Bench:
        """Loads a model's folder and a data set with a train and a test split."""
        import torch

        torch.set_num_threads(threads)
        checkpoint = load(model)
        if not isinstance(checkpoint, Checkpoint):
            raise UsageError(f"{model} holds a graph; give the checkpoint")
        task = make_task(checkpoint.task, checkpoint.config, folder=model)
        train, test = (
            load_dataset(data, task=task.name, label_kind=task.label_kind, split=split).examples
            for split in ("train", "test")
        )
        return cls(model, checkpoint, train, test[:limit], threads)

    def run(
        self, plan: Sequence[tuple[float, int, str]], state: StateFolder, *, samples: int
    ) -> Iterator[Cell]:
        """Yields the model as it was, and each cell, measured or kept from before."""
        yield self._kept_or(state, DENSE, Request(self._train, 0.0, 0.0, samples, 0))
        flops: dict[tuple[float, int], float] = {}
        for number, (fraction, seed, method) in enumerate(plan):
            if method in WITHOUT_SEED and seed != plan[0][1]:
                continue
            left = flops.get((fraction, seed), 0.0)
            request = Request(self._train, fraction, left, samples, seed)
            cell = self._kept_or(state, method, request)
            if method == OURS:
                flops[fraction, seed] = 1 - cell.flops_kept
            print(
                f"{number + 1} of {len(plan)}: {method} {fraction:.0%} seed {seed}: "
                f"{cell.value:.4f}, {cell.seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )
            yield cell

    def _kept_or(self, state: StateFolder, method: str, request: Request) -> Cell:
        part = f"{method}-{request.fraction:g}-{request.seed}".replace(" ", "-")
        return state.kept(part, Cell, lambda: self._measured(method, request))

    def _measured(self, method: str, request: Request) -> Cell:
        started = time.perf_counter()
        smaller, context = self._checkpoint, Context(request.examples)
        for prune in METHODS[method](request) if method != DENSE else ():
            smaller = prune(smaller, context)
        seconds = time.perf_counter() - started
        with TorchRuntime(smaller.model, threads=self._threads) as runtime:
            answers = predict_all(
                runtime,
                self.task,
                self._features,
                self._test,
                pad_token_id=pad_token_of(smaller.tokenizer),
            ).predictions
        score = self.task.score(answers, self._test, reference=answers)
        rows = metric_rows(score, answers, self._test)
        if rows is None:
            raise PassError(f"{score.primary} can't be resampled example by example")
        shape = shape_of(smaller.model)
        return Cell(
            method=method,
            fraction=request.fraction,
            seed=request.seed,
            value=score.value,
            seconds=round(seconds, 1),
            flops_kept=self._costs.of(shape) / self._costs.of(shape_of(self._checkpoint.model)),
            parameters_kept=smaller.parameters / self._checkpoint.parameters,
            layer_heads=shape.layer_heads,
            layer_ffn=shape.layer_ffn,
            columns=tuple(" ".join(f"{value:g}" for value in column) for column in rows.rows.T),
        )


def code_digest(root: Path) -> str:
    """Returns a digest of what the cells' code does: comments and docstrings change nothing."""
    parts = []
    for path in sorted(file for folder in CODE for file in (root / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and _is_text(body[0]):
                body.pop(0)
        parts.append(f"{path.name} {ast.dump(tree)}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


if __name__ == "__main__":
    main()
