"""Hashes of a graph: of its weights, which a calibration table belongs to, and of all of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx


def weights_fingerprint(graph: onnx.ModelProto) -> str:
    """Returns the SHA-256 over all initializers, by name, as 16 hexadecimal digits."""
    from onnx import numpy_helper

    digest = hashlib.sha256()
    for tensor in sorted(graph.graph.initializer, key=lambda one: one.name):
        values = np.ascontiguousarray(numpy_helper.to_array(tensor))
        digest.update(f"{tensor.name} {values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def graph_sha256(graph: onnx.ModelProto) -> str:
    """Returns the SHA-256 of operators and weights: what its answers follow from.

    Who wrote the graph, notes in it and the order of mappings change nothing.
    """
    bare = type(graph)()
    bare.CopyFrom(graph)
    for name in ("producer_name", "producer_version", "doc_string", "metadata_props"):
        bare.ClearField(name)
    for noted in (bare.graph, *bare.graph.node):
        noted.ClearField("doc_string")
        noted.ClearField("metadata_props")
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()
