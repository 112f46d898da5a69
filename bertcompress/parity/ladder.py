"""The parity ladder: the same texts through a checkpoint and everything that was made from it.

Each step is one artifact in one runtime, compared with the reference: the checkpoint in torch, or
a graph in ONNX Runtime where there is no checkpoint. What can't run a step is named, never passed
over in silence. A step outside its bounds is told with the first layer that diverges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.manifest import read_manifest
from bertcompress.bert.loading.load import load
from bertcompress.errors import MissingError, ParityError, RunError, UsageError
from bertcompress.inference.streams import Outputs, open_streams
from bertcompress.parity.bounds import BOUNDS, Bounds
from bertcompress.parity.first_divergence import find_divergence
from bertcompress.parity.precision import PRECISIONS, Precision, coarser, graph_precision
from bertcompress.parity.step import ParityLadder, ParityStep, broken_bounds
from bertcompress.parity.texts import ParityTexts
from bertcompress.progress import Progress, silent
from bertcompress.runtimes import RUNTIME_NAMES, runtime_for
from bertcompress.tasks.base import Prediction, Score

BATCH_SIZE = 16
FIRST_NOISE_DB = 3.0
"""A tensor diverges where half of the answers' noise is in it, at the latest."""

_CHANGES = ("Prune", "Recover", "Finetune", "TrainQuantized")
"""Steps after which a model is to answer otherwise, by the beginning of their names."""

NamedFolder = tuple[str, Path]


@dataclass(frozen=True)
class _Planned:
    """An artifact in a runtime, before it is run; `why_not` says why it won't be."""

    name: str
    folder: Path
    runtime: str
    why_not: str


@dataclass(frozen=True)
class _Reference:
    """What the steps are compared with."""

    folder: Path
    outputs: Sequence[Outputs]
    predictions: Sequence[Prediction]
    score: Score | None


def climb(
    reference: Path,
    artifacts: Sequence[NamedFolder],
    texts: ParityTexts,
    *,
    bounds: Mapping[Precision, Bounds] = BOUNDS,
    runtimes: Sequence[str] | None = None,
    threads: int = 1,
    progress: Progress = silent,
) -> ParityLadder:
    """Runs every artifact in every runtime and compares the answers with the reference's.

    Args:
        reference: The checkpoint's folder, or a graph's.
        artifacts: Names and folders of what was made from it.
        texts: What is answered.
        bounds: By precision.
        runtimes: These alone, which must be there; None takes all that are installed.
        threads: Threads of one run.
        progress: Is told how many steps are done.

    Raises:
        UsageError: If there is no runtime of a name, or an artifact was changed on purpose after
            the reference was made.
        RunError: If the runtime that deploys an artifact, or one that was named, can't run it.
        MissingError: If a runtime that was named can't be used on this machine.
    """
    check_made_from(reference, artifacts)
    default = runtime_for(reference)
    planned = _plan(reference, artifacts, runtimes)
    outputs = run_texts(reference, default, texts, threads)
    known = _Reference(reference, outputs, *texts.judged(outputs))
    steps = []
    for done, plan in enumerate(planned):
        progress("parity", done, len(planned))
        optional = runtimes is None and plan.runtime != runtime_for(plan.folder)
        steps.append(_step(plan, known, texts, bounds, threads=threads, optional=optional))
    progress("parity", len(planned), len(planned))
    return ParityLadder(
        reference=str(reference),
        runtime=default,
        texts=texts.words,
        count=len(texts.features),
        metric=known.score.primary if known.score is not None else "",
        value=known.score.value if known.score is not None else None,
        steps=tuple(steps),
    )


def _plan(
    reference: Path, artifacts: Sequence[NamedFolder], runtimes: Sequence[str] | None
) -> list[_Planned]:
    """Returns the steps; of the reference, those in other runtimes than its own."""
    own = [_Planned(str(reference), reference, *one) for one in fitting(reference, runtimes)]
    planned = [one for one in own if one.runtime != runtime_for(reference)]
    for name, folder in artifacts:
        found = fitting(folder, runtimes)
        if not found:
            raise UsageError(f"none of the runtimes {', '.join(runtimes or ())} runs {folder}")
        planned += [_Planned(name, folder, *one) for one in found]
    return planned


def _step(
    plan: _Planned,
    known: _Reference,
    texts: ParityTexts,
    bounds: Mapping[Precision, Bounds],
    *,
    threads: int,
    optional: bool,
) -> ParityStep:
    precision = precision_of(plan.folder, plan.runtime)
    step = ParityStep(plan.name, plan.runtime, precision, texts.bounded(bounds[precision]))
    if plan.why_not:
        return replace(step, left_out=plan.why_not)
    try:
        got = run_texts(plan.folder, plan.runtime, texts, threads)
    except (MissingError, RunError) as error:
        if not optional:
            raise
        return replace(step, left_out=str(error))
    step = _compared(step, known, got, texts)
    if not step.broken:
        return step
    reached = -math.inf if step.sqnr_db is None else step.sqnr_db
    least = step.bounds.min_sqnr or BOUNDS[precision].min_sqnr or 0.0
    divergence = find_divergence(
        known.folder,
        plan.folder,
        plan.runtime,
        texts.worst(known.outputs, got),
        allowed_db=max(least, reached + FIRST_NOISE_DB),
        threads=threads,
    )
    return replace(step, divergence=divergence)


def _compared(
    step: ParityStep, known: _Reference, got: Sequence[Outputs], texts: ParityTexts
) -> ParityStep:
    """Returns the step with its figures and the bounds that they are outside of."""
    try:
        parity = texts.parity(known.outputs, got)
    except ParityError as error:
        return replace(step, broken=(str(error),))
    _, score = texts.judged(got, reference=known.predictions)
    before, after = known.score, score
    step = replace(
        step,
        max_difference=parity.figures.largest_difference,
        mean_difference=parity.figures.mean_difference,
        largest_output=parity.figures.largest_output,
        sqnr_db=parity.sqnr_db if math.isfinite(parity.sqnr_db) else None,
        agreement=texts.agreement(known.outputs, got),
        value=after.value if after is not None else None,
        drop=before.value - after.value if before is not None and after is not None else None,
    )
    return replace(step, broken=broken_bounds(step))


def fitting(folder: Path, runtimes: Sequence[str] | None) -> list[tuple[str, str]]:
    """Returns the runtimes for what a folder holds, each with why it can't be used here, if so.

    Args:
        folder: An artifact's folder.
        runtimes: These alone, which must be usable; None for all that there are.

    Raises:
        UsageError: If there is no runtime of a name.
        MissingError: If one that was named is not installed, or lacks its hardware.
    """
    usable = []
    for name in RUNTIME_NAMES if runtimes is None else runtimes:
        try:
            usable.append((runtime_for(folder, name), ""))
        except RunError:  # it is for the other kind of artifact
            continue
        except MissingError as error:
            if runtimes is not None:
                raise
            usable.append((name, str(error)))
    return usable


def check_made_from(reference: Path, artifacts: Sequence[tuple[str, Path]]) -> None:
    """Fails if an artifact was pruned or trained after the reference: it is to answer otherwise.

    Raises:
        UsageError: It names the artifact and the step.
    """
    manifest = read_manifest(reference)
    before = len(manifest.history) if manifest is not None else 0
    for name, folder in artifacts:
        later = read_manifest(folder)
        for step in later.history[before:] if later is not None else ():
            if step.name.startswith(_CHANGES):
                raise UsageError(
                    f"{name} went through {step.name} after {reference}, so it is to answer "
                    "otherwise; give the checkpoint that it was exported from, or take compare"
                )


def precision_of(folder: Path, runtime: str) -> Precision:
    """Returns the coarsest numbers that a folder is computed with in a runtime."""
    named = [precision for precision in PRECISIONS if precision in runtime.split("-")]
    artifact = load(folder)
    graph = graph_precision(artifact.graph) if isinstance(artifact, OnnxModel) else "fp32"
    return coarser(graph, *named)


def run_texts(folder: Path, runtime: str, texts: ParityTexts, threads: int) -> list[Outputs]:
    """Returns the outputs of each text, without batch axis and without padding."""
    with open_streams(folder, runtime, streams=1, threads=threads) as opened:
        return texts.outputs(opened, batch_size=BATCH_SIZE)
