"""Compares the data's labels with the model's, and says what to type where they differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bertcompress.errors import LabelMismatchError, did_you_mean

_SHOWN = 20
_NUMBERED = re.compile(r"(?:LABEL_)?(\d+)")


def check_labels(found: Iterable[str], known: Sequence[str]) -> None:
    """Fails where the data has a label that the model does not know.

    Args:
        found: The data's labels, in any order, also repeated.
        known: The model's labels in the order of its outputs.

    Raises:
        LabelMismatchError: With both sides and, where it can be told, the label map to type.
    """
    present = set(found)
    unknown = sorted(present - set(known))
    if not unknown:
        return
    raise LabelMismatchError(
        f"the data has labels that the model does not know: {_listed(unknown)}; "
        f"the data's labels are {_listed(sorted(present))}, "
        f"the model's are {_listed(sorted(known))}; {_remedy(present, unknown, known)}"
    )


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:_SHOWN])
    hidden = len(labels) - _SHOWN
    return f"{shown}, … and {hidden} more" if hidden > 0 else shown


def _remedy(present: set[str], unknown: Sequence[str], known: Sequence[str]) -> str:
    numbers = _numbers(present)
    if numbers is not None:
        pairs = _in_model_order(numbers, known)
        return f"if they stand for the model's in its order, type --label-map {pairs}"
    if _numbers(known) is not None:
        pairs = ",".join(f"{name}={label}" for name, label in zip(unknown, known, strict=False))
        return (
            "the model's labels are only numbers: type --label-map with the right pairs, "
            f"such as {pairs}"
        )
    suggestion = did_you_mean(unknown[0], known).removeprefix("; ")
    lead = f"{suggestion} " if suggestion else ""
    return f"{lead}type --label-map {unknown[0]}=NAME to rename, or choose other data"


def _numbers(labels: Iterable[str]) -> dict[int, str] | None:
    """Returns the labels by number if all are ``0`` or ``LABEL_0``, else None."""
    matches = [_NUMBERED.fullmatch(label) for label in labels]
    if not matches or any(match is None for match in matches):
        return None
    return {int(match[1]): match[0] for match in matches if match is not None}


def _in_model_order(numbers: dict[int, str], known: Sequence[str]) -> str:
    first = 1 if min(numbers) == 1 and max(numbers) == len(known) else 0
    pairs = [
        f"{label}={known[number - first]}"
        for number, label in sorted(numbers.items())
        if number - first < len(known)
    ]
    more = ",…" if len(pairs) > _SHOWN else ""
    return ",".join(pairs[:_SHOWN]) + more if pairs else "OLD=NEW,OLD=NEW"
