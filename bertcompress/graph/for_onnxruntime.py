"""The same answers in the operators that ONNX Runtime is fast at.

Quantizing starts from this graph: what it leaves in float is then most of what is left to run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcompress.graph.edit import copy_of
from bertcompress.graph.first_token import only_first_token
from bertcompress.graph.residuals import keep_residuals_apart

if TYPE_CHECKING:
    import onnx


def shaped_for_onnxruntime(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy of a float graph that computes no token in vain and adds residuals apart."""
    shaped = copy_of(graph)
    only_first_token(shaped)
    keep_residuals_apart(shaped)
    return shaped
