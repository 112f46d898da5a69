"""What ran in which precision: an artifact and the float graph it came from, run in turns.

Each runs in a process of its own. `map_all` is the stage of a benchmark that does so for each
quantized variant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import numpy as np

from bertcompress.artifacts.artifact import Manifest
from bertcompress.artifacts.artifact_files import manifest_of
from bertcompress.artifacts.manifest import Step
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.state import Workplace
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.worker.messages import ProfileOperators
from bertcompress.bench.workload import (
    Workload,
    grid,
    sample_features,
    save_workload,
    single_stream,
)
from bertcompress.bert.families import longest_text
from bertcompress.bert.loading.config_file import read_fields
from bertcompress.errors import LoadError, RunError, UsageError
from bertcompress.profiling.precision_map import PrecisionMap, joined, precision_map
from bertcompress.profiling.profiled_run import ProfiledRun
from bertcompress.profiling.reasons import quantize_step
from bertcompress.tasks.base import Feature

TURNS = 3
FEEDS = 10
"""Runs in a turn."""
DEFAULT_LENGTH = 128

NamedFolder = tuple[str, Path]
PrecisionMaps = tuple[PrecisionMap | None, ...]


def map_all(
    variants: Sequence[Variant], subject: Subject, settings: BenchSettings, place: Workplace
) -> tuple[PrecisionMaps, tuple[str, ...]]:
    """Finds what ran in which precision for each variant of our own that was quantized.

    It is compared with the variant that it was quantized from, else with the baseline where that
    is a float graph.

    Returns:
        For each variant its map or None, and sentences on those that could not be made.
    """
    manifests = [None if variant.is_peer else manifest_of(variant.folder) for variant in variants]
    named = [(variant.name, variant.folder) for variant in variants]
    maps: list[PrecisionMap | None] = []
    failed = []
    for position, (variant, manifest) in enumerate(zip(variants, manifests, strict=True)):
        maps.append(None)
        if manifest is None or manifest.kind != "onnx" or not quantize_step(manifest.history):
            continue
        place.progress(f"operators: {variant.name}", position, len(variants))
        before = float_graph_of(manifest.history, zip(named, manifests, strict=True))
        if before is None and _is_float_graph(manifests[0]):
            before = named[0]
        try:
            maps[-1] = _map_of(variant, position, before, subject, settings, place)
        except RunError as error:
            failed.append(f"what ran in {variant.name} could not be told: {error}")
    return tuple(maps), tuple(failed)


def measure_map(
    folder: Path,
    workload: Workload,
    *,
    inputs: str,
    threads: int,
    scratch: Path,
    runtime: str = "auto",
    against: NamedFolder | None = None,
) -> PrecisionMap:
    """Runs an artifact under its runtime's profiler and returns its map.

    Args:
        folder: The artifact's folder.
        workload: Typical inputs.
        inputs: The same in words.
        threads: Threads of a run.
        scratch: A folder for the inputs.
        runtime: What runs it.
        against: Name and folder of the float graph.

    Raises:
        RunError: If a folder holds no graph, or the runtime can't run it.
    """
    path = scratch / "precision-map.npz"
    save_workload(workload, path)
    folders = [folder] if against is None else [folder, against[1]]
    parts: list[list[ProfiledRun]] = [[] for _ in folders]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(WorkerProcess(place.name, scratch=scratch, threads=threads))
            for place in folders
        ]
        for _ in range(TURNS):
            for process, artifact, runs in zip(processes, folders, parts, strict=True):
                command = ProfileOperators(artifact.resolve(), runtime, threads, path)
                runs.append(process.ask(command))
    manifest = manifest_of(folder)
    return precision_map(
        joined(parts[0]),
        manifest.history if manifest else (),
        inputs=inputs,
        threads=threads,
        before=joined(parts[1]) if against is not None else None,
        against=against[0] if against is not None else None,
    )


def drawn_workload(folder: Path, length: int | None = None, *, seed: int = 0) -> Workload:
    """Draws sentences of one length from the whole vocabulary.

    Args:
        folder: A model's folder.
        length: Tokens of each; `DEFAULT_LENGTH`, or the model's longest, if left out.
        seed: Of the drawing.

    Raises:
        LoadError: If the folder's configuration can't be read.
        UsageError: If the model does not read texts of that length.
    """
    path = folder / "config.json"
    try:
        config = read_fields(folder)
        vocabulary = cast("int", config["vocab_size"])
        longest = longest_text(config)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoadError(f"can't read {path}: {error}; make the artifact again") from error
    length = min(DEFAULT_LENGTH, longest) if length is None else length
    if not 1 <= length <= longest:
        raise UsageError(f"at-length must be from 1 to the model's {longest}, got {length}")
    generator = np.random.default_rng(seed)
    feeds = []
    for _ in range(FEEDS):
        ids = generator.integers(0, vocabulary, (1, length), dtype=np.int64)
        feeds.append(
            {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            }
        )
    return Workload(f"drawn-{length}", "grid", 1, length, tuple(feeds))


def data_workload(
    features: Sequence[Feature], length: int | None, *, pad_token_id: int, seed: int = 0
) -> Workload:
    """Takes sentences of a data set: as long as they are, or their tokens at one length."""
    if length is not None:
        return grid(features, batch_size=1, sequence_length=length, repeats=FEEDS)
    drawn = sample_features(features, FEEDS, seed=seed)
    return single_stream(drawn, pad_token_id=pad_token_id, name="own-lengths")


def float_graph_of(
    history: Sequence[Step], others: Iterable[tuple[NamedFolder, Manifest | None]]
) -> NamedFolder | None:
    """Returns the graph that an artifact was quantized from, None if it is not among the others.

    That is the one with the longest history that begins this one, not quantized itself.
    """
    best: tuple[int, NamedFolder] | None = None
    for named, manifest in others:
        if manifest is None or manifest.kind != "onnx" or quantize_step(manifest.history):
            continue
        steps = len(manifest.history)
        begins = 0 < steps < len(history) and all(
            _same(a, b) for a, b in zip(manifest.history, history, strict=False)
        )
        if begins and (best is None or steps > best[0]):
            best = steps, named
    return best[1] if best else None


def _map_of(
    variant: Variant,
    position: int,
    before: NamedFolder | None,
    subject: Subject,
    settings: BenchSettings,
    place: Workplace,
) -> PrecisionMap:
    own = variant.reads or subject
    drawn = data_workload(own.features, None, pad_token_id=own.pad_token_id, seed=settings.seed)

    def measure() -> PrecisionMap:
        return measure_map(
            variant.folder,
            drawn,
            inputs=f"{len(drawn.feeds)} sentences of the data",
            threads=place.threads,
            scratch=place.scratch,
            runtime=variant.runtime,
            against=before,
        )

    return place.state.kept(f"precision-map-{position}", PrecisionMap, measure)


def _is_float_graph(manifest: Manifest | None) -> bool:
    if manifest is None or manifest.kind != "onnx":
        return False
    return quantize_step(manifest.history) is None


def _same(first: Step, second: Step) -> bool:
    """Says whether two steps did the same to models of the same size."""
    facts = [
        (step.name, step.settings, step.parameters_before, step.bytes_before, step.bytes_after)
        for step in (first, second)
    ]
    return facts[0] == facts[1]
