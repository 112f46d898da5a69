"""What has to be known of a graph that another tool exported, before texts are answered with it.

Ours were looked through when they were made, and the manifest's hashes say that they are the same.
Of all others the weights are looked at here, before anything is answered, and so is the number of
tokens that a graph was traced with: texts are cut there, as at any other limit of a model.
"""

from __future__ import annotations

from pathlib import Path

from bertcompress.artifacts.graph_file import check_graph, graph_path
from bertcompress.artifacts.manifest import Kind, kind_of, read_manifest
from bertcompress.graph.signature import fixed_length

_EXPORT = "ExportOnnx"


def longest_of_graph(folder: Path) -> int | None:
    """Looks through a foreign graph and returns the tokens that it was traced with, if so.

    Args:
        folder: Holds the graph that will be run.

    Raises:
        LoadError: If a weight is not a finite number or missing, or an input has no known name.
    """
    manifest, path = read_manifest(folder), graph_path(folder)
    is_own = manifest is not None and any(step.name == _EXPORT for step in manifest.history)
    if path is None or is_own:
        return None
    return fixed_length(check_graph(path))


def which_runs(folder: Path, runtime: str, runs: Kind) -> str | None:
    """Returns the sentence that says which of a folder's two models is run, if it holds two.

    Args:
        folder: A model's.
        runtime: The runtime that was chosen.
        runs: What that runs.
    """
    if kind_of(folder) != "checkpoint" or not has_graph(folder):
        return None
    taken, other = ("weights", "graph") if runs == "checkpoint" else ("graph", "weights")
    name = "ort-cpu" if runs == "checkpoint" else "torch-cpu"
    return (
        f"{folder} holds weights and a graph: {runtime} runs the {taken}; the {other} with "
        f"--runtime {name}"
    )


def has_graph(folder: Path) -> bool:
    """Says whether a folder holds a graph, beside whatever else."""
    return any(folder.glob("onnx/*.onnx")) or any(folder.glob("*.onnx"))
