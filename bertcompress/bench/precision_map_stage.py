"""The stage of a benchmark that finds what ran in which precision, for each quantized variant."""

from __future__ import annotations

from collections.abc import Sequence

from bertcompress.artifacts.artifact import Manifest
from bertcompress.artifacts.artifact_files import manifest_of
from bertcompress.bench.precision_runs import (
    NamedFolder,
    data_workload,
    float_graph_of,
    measure_map,
)
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.stages import Place, kept_part
from bertcompress.bench.variant import Subject, Variant
from bertcompress.errors import RunError
from bertcompress.profiling.precision_map import PrecisionMap
from bertcompress.profiling.reasons import quantize_step

Maps = tuple[PrecisionMap | None, ...]


def map_all(
    variants: Sequence[Variant], subject: Subject, settings: BenchSettings, place: Place
) -> tuple[Maps, tuple[str, ...]]:
    """Finds what ran in which precision for each variant of our own that was quantized.

    It is compared with the variant that it was quantized from, else with the baseline where that
    is a float graph.

    Returns:
        For each variant its map or None, and sentences on those that could not be made.
    """
    manifests = [None if one.is_peer else manifest_of(one.folder) for one in variants]
    named = [(one.name, one.folder) for one in variants]
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


def _map_of(
    variant: Variant,
    position: int,
    before: NamedFolder | None,
    subject: Subject,
    settings: BenchSettings,
    place: Place,
) -> PrecisionMap:
    drawn = data_workload(
        subject.features, None, pad_token_id=subject.pad_token_id, seed=settings.seed
    )

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

    return kept_part(place, f"precision-map-{position}", PrecisionMap, measure)


def _is_float_graph(manifest: Manifest | None) -> bool:
    if manifest is None or manifest.kind != "onnx":
        return False
    return quantize_step(manifest.history) is None
