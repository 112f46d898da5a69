"""Counts what an artifact folder's model costs, whatever the folder holds."""

from __future__ import annotations

from pathlib import Path

from bertcompress.artifacts.manifest import ONNX_NAME, kind_of
from bertcompress.profiling.operations import Operations
from bertcompress.profiling.operations_checkpoint import checkpoint_operations
from bertcompress.profiling.operations_graph import graph_operations, read_graph


def operations_of(folder: Path) -> Operations | None:
    """Counts an artifact folder's operations.

    Returns:
        None where the folder holds neither a graph nor the safetensors of a BERT.
    """
    if kind_of(folder) != "checkpoint":
        return graph_operations(read_graph(folder / ONNX_NAME))
    return checkpoint_operations(folder)
