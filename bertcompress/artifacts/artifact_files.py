"""Which files of an artifact folder a runtime loads, and which travel with the model."""

from __future__ import annotations

from pathlib import Path

from bertcompress.artifacts.embedding_files import read_embedding_files
from bertcompress.artifacts.folder import MANIFEST_NAME
from bertcompress.artifacts.graph_file import graph_files, graph_path
from bertcompress.artifacts.manifest import (
    ENGINES,
    PLAN_NAME,
    RANGES_NAME,
    Manifest,
    read_manifest,
)
from bertcompress.artifacts.trained_rows import TRAINED_ROWS_NAME
from bertcompress.errors import LoadError

_PEER_SUFFIXES = (".safetensors", ".bin", ".onnx", ".xml", ".npz")


def model_files(folder: Path) -> list[Path]:
    """Returns the files that a runtime loads: a peer's, the engine, the graph, or the weights."""
    peer = folder / "peer"
    if peer.is_dir():
        return sorted(file for file in peer.iterdir() if file.suffix in _PEER_SUFFIXES)
    if plans := sorted(folder.glob(f"{ENGINES}/*/{PLAN_NAME}")):
        return plans
    weights = sorted(folder.glob("*.safetensors"))
    weights = weights or sorted(folder.glob("pytorch_model*.bin"))
    graph = graph_path(folder) if not weights else None
    return [*graph_files(graph)] if graph is not None else weights or [*folder.glob("fake.json")]


def manifest_of(folder: Path) -> Manifest | None:
    """Reads the manifest, None for a folder without one.

    Raises:
        LoadError: If the folder is not there, or its manifest can't be read.
    """
    if not folder.is_dir():
        raise LoadError(f"{folder} is not a folder; give the folder of an artifact")
    return read_manifest(folder) if (folder / MANIFEST_NAME).is_file() else None


def read_side_files(folder: Path) -> dict[str, bytes]:
    """Returns the small files that travel with a model, by relative name.

    They are the ranges and the rows that it was trained with, and what Sentence Transformers says
    of the way from texts to vectors, see `bertcompress.artifacts.embedding_files`.

    Raises:
        LoadError: One can't be read.
    """
    training = [name for name in (RANGES_NAME, TRAINED_ROWS_NAME) if (folder / name).is_file()]
    files = {name: (folder / name).read_bytes() for name in training}
    return {**files, **read_embedding_files(folder)}
