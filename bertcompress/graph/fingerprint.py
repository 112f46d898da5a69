"""The hash of a graph's weights: tells whether a calibration table belongs to it."""

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
