"""Counts what an artifact folder's model costs, whatever the folder holds."""

from __future__ import annotations

from pathlib import Path

from bertcompress.artifacts.graph_file import graph_path, parse_graph, sound_graph
from bertcompress.artifacts.manifest import kind_of
from bertcompress.profiling.operations import Operations
from bertcompress.profiling.operations_checkpoint import checkpoint_operations
from bertcompress.profiling.operations_graph import graph_operations


def operations_of(folder: Path) -> Operations | None:
    """Counts an artifact folder's operations.

    Returns:
        None where the folder holds neither a graph nor the safetensors of a BERT.
    """
    graph = graph_path(folder) if kind_of(folder) != "checkpoint" else None
    if graph is not None:
        with sound_graph(graph):
            return graph_operations(parse_graph(graph))
    return checkpoint_operations(folder)
