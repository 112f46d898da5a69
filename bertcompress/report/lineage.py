"""What an artifact's manifest says about it, in the form that reports keep.

A pass leaves what it found in its step's ``details`` as plain JSON. Nothing here knows any pass:
a list of objects becomes a table with their keys as columns, an object of objects a table with
one more column, an object of plain values a table of two columns, and a sentence a note. What
`bertcompress.passes.prune.removed` reads is drawn instead, and left out here.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from bertcompress.artifacts.artifact import Manifest, Step
from bertcompress.artifacts.artifact_files import model_files
from bertcompress.artifacts.engine_file import read_record
from bertcompress.artifacts.stored_tensors import stored_tensors
from bertcompress.errors import LoadError
from bertcompress.passes.prune.removed import DETAIL
from bertcompress.report.schema import HistoryCell, HistoryLine, HistoryTable, Size

TITLES: Mapping[str, str] = {
    "output_sqnr_db": "output SQNR (dB)",
    "nncf_calibration": "calibration",
    "tensorrt": "TensorRT",
    "speed_up": "speed-up",
    "mb": "MB",
    "int8_saves_us": "INT8 saves (µs)",
    "replayed_as_cuda_graphs": "replayed as CUDA graphs",
}
"""What people read for fields of details whose name alone does not say it."""

_PART_BYTES = 1 << 20


def history_of(folder: Path, manifest: Manifest | None) -> tuple[HistoryLine, ...]:
    """Returns the steps that made an artifact; none for a plain Transformers folder.

    The last step of an engine has a table of its layers, as its sidecar has them.

    Raises:
        LoadError: If an engine's sidecar can't be read.
    """
    lines = [_line(step) for step in manifest.history] if manifest else []
    if manifest is not None and manifest.kind == "engine" and lines:
        layers = _table("the engine's layers", list(read_record(folder).layers))
        if layers is not None:
            lines[-1] = replace(lines[-1], tables=(*lines[-1].tables, layers))
    return tuple(lines)


def size_of(folder: Path, manifest: Manifest | None, *, compressed: bool) -> Size:
    """Measures an artifact's files.

    Raises:
        LoadError: If the folder holds nothing that a runtime could load.
    """
    files = model_files(folder)
    if not files:
        raise LoadError(f"{folder} holds no model: no safetensors file, no onnx/model.onnx")
    return Size(
        file_bytes=sum(file.stat().st_size for file in files),
        compressed_bytes=sum(_compressed_bytes(file) for file in files) if compressed else None,
        folder_bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        parameters=parameters_of(folder, manifest),
    )


def parameters_of(folder: Path, manifest: Manifest | None) -> int | None:
    """Returns the number of weights that the model has, however its graph packs them.

    The last step that knew it says so; a plain folder's safetensors files say it themselves.
    """
    for step in reversed(manifest.history if manifest else ()):
        known = step.parameters_after or step.parameters_before
        if known:
            return known
    counts = [_stored_weights(file) for file in sorted(folder.glob("*.safetensors"))]
    return sum(counts) or None


def kernels_of(manifest: Manifest | None) -> dict[str, int]:
    """Returns the counts of kernels and fusions that the last step with such counts left."""
    for step in reversed(manifest.history if manifest else ()):
        counts = _kernels(step)
        if counts is not None:
            return counts
    return {}


def title_of(field_name: str) -> str:
    """Returns what people read for a field of a step's details."""
    return TITLES.get(field_name, field_name.replace("_", " "))


def _line(step: Step) -> HistoryLine:
    tables, notes = [], []
    for key, value in step.details.items():
        if key == DETAIL:
            continue
        title = title_of(key)
        table = _table(title, value)
        if table is not None:
            tables.append(table)
        elif isinstance(value, list):
            notes += [str(item) for item in value]
        elif value is not None:
            notes.append(f"{title}: {value}")
    shown = {key: value for key, value in step.settings.items() if value is not None}
    return HistoryLine(
        name=step.name,
        settings=", ".join(f"{key.replace('_', ' ')} {value}" for key, value in shown.items()),
        seconds=step.seconds,
        parameters_before=step.parameters_before,
        parameters_after=step.parameters_after,
        bytes_before=step.bytes_before,
        bytes_after=step.bytes_after,
        tables=tuple(tables),
        notes=tuple(notes),
        kernels=_kernels(step),
    )


def _kernels(step: Step) -> dict[str, int] | None:
    counts = step.details.get("kernels")
    if not isinstance(counts, Mapping):
        return None
    return {str(name): count for name, count in counts.items() if isinstance(count, int)}


def _table(title: str, value: object) -> HistoryTable | None:
    if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
        return _table_of_rows(title, value)
    if not isinstance(value, Mapping) or not value:
        return None
    if all(isinstance(row, Mapping) for row in value.values()):
        return _table_of_rows(title, [{title: key, **row} for key, row in value.items()])
    rows = tuple((title_of(str(key)), _cell(item)) for key, item in value.items())
    return HistoryTable(title, ("what", "value"), rows)


def _table_of_rows(title: str, rows: Iterable[Mapping[str, object]]) -> HistoryTable:
    kept = list(rows)
    named = (key for row in kept for key, value in row.items() if value is not None)
    columns = tuple(dict.fromkeys(named))
    cells = tuple(tuple(_cell(row.get(column)) for column in columns) for row in kept)
    return HistoryTable(title, tuple(map(title_of, columns)), cells)


def _cell(value: object) -> HistoryCell:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value)


def _stored_weights(file: Path) -> int:
    """Counts the float values of a safetensors file by its header; 0 if that can't be read."""
    try:
        return sum(math.prod(it.shape) for it in stored_tensors(file) if "F" in it.dtype)
    except LoadError:
        return 0


def _compressed_bytes(file: Path) -> int:
    packer, total = zlib.compressobj(6), 0
    with file.open("rb") as stream:
        while part := stream.read(_PART_BYTES):
            total += len(packer.compress(part))
    return total + len(packer.flush())
