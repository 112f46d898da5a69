"""Why a product stayed in float: what the artifact's steps say about it.

A quantize step lists its products under ``precision`` in its details: ``module``, ``precision``
(``quantized`` or ``float32``) and, where a search chose, its ``reason`` in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from bertcompress.artifacts.manifest import Step
from bertcompress.graph.products import HEADS

DETAIL = "precision"
"""The key in a step's details."""

NOT_QUANTIZED = "the graph was not quantized"
ATTENTION = "attention has no weights"
HEAD = "the task's last product"


def quantize_step(history: Sequence[Step]) -> Step | None:
    """Returns the last step that quantized products, None if none did."""
    return next((step for step in reversed(history) if DETAIL in step.details), None)


def reason_for(
    module: str, precision: str, history: Sequence[Step], *, is_attention: bool, runtime: str
) -> str:
    """Returns why a product ran in float, empty if it did not.

    Args:
        module: The product's module.
        precision: What ran.
        history: The steps that made the artifact.
        is_attention: Whether it multiplies two activations.
        runtime: What ran it.
    """
    if "int" in precision:
        return ""
    step = quantize_step(history)
    if step is None:
        return NOT_QUANTIZED
    if is_attention:
        return ATTENTION
    row = _row(step, module)
    if row.get("reason"):
        return str(row["reason"])
    if row.get("precision") == "quantized":
        return f"quantized, but {runtime} ran it in float"
    if not row:
        return f"the step {step.name} does not name it"
    patterns = [str(pattern) for pattern in _list(step.settings.get("keep_float"))]
    fitting = [pattern for pattern in patterns if fnmatchcase(module, pattern)]
    named = [pattern for pattern in fitting if pattern not in HEADS]
    if named:
        return f"named in keep_float: {named[0]}"
    return HEAD if fitting else "left in float by the step that quantized the others"


def _row(step: Step, module: str) -> Mapping[str, object]:
    for row in _list(step.details[DETAIL]):
        if isinstance(row, Mapping) and row.get("module") == module:
            return row
    return {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()
