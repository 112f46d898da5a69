"""Compares the data's labels with the model's, and says what to type where they differ."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Sequence

from bertcompress.data.labels import natural_key
from bertcompress.errors import LabelMismatchError, did_you_mean

_SHOWN = 20
_NUMBERED = re.compile(r"(?:LABEL_)?(\d+)")


def check_labels(found: Iterable[str], known: Sequence[str], *, but: Collection[str] = ()) -> None:
    """Fails where the data has a label that the model does not know.

    Args:
        found: The data's labels, in any order, also repeated.
        known: The model's labels in the order of its outputs.
        but: Labels of the data that may be unknown.

    Raises:
        LabelMismatchError: With both sides and, where it is certain, the label map to type.
    """
    present = set(found)
    unknown = _sorted(present - set(known) - set(but))
    if not unknown:
        return
    raise LabelMismatchError(
        f"the data has labels that the model does not know: {_listed(unknown)}; "
        f"the data's labels are {_listed(_sorted(present))}, "
        f"the model's are {_listed(_sorted(known))}; {_remedy(present, unknown, known)}"
    )


def _sorted(labels: Iterable[str]) -> list[str]:
    return sorted(labels, key=natural_key)


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:_SHOWN])
    hidden = len(labels) - _SHOWN
    return f"{shown}, … and {hidden} more" if hidden > 0 else shown


def _remedy(present: set[str], unknown: Sequence[str], known: Sequence[str]) -> str:
    pairs = _certain_pairs(present, unknown, known)
    if pairs:
        written = shlex.quote(",".join(f"{old}={new}" for old, new in pairs))
        return f"they differ in spelling only: type --label-map {written}"
    numbered = _are_numbers(present), _are_numbers(known)
    if any(numbered):
        side = "data" if numbered[0] else "model"
        return (
            f"the {side}'s labels are only numbers, and nothing here says what they stand for: "
            "look it up, and type --label-map OLD=NEW,OLD=NEW with a pair for each label"
        )
    suggestion = did_you_mean(unknown[0], known).removeprefix("; ")
    lead = f"{suggestion} " if suggestion else ""
    return f"{lead}type --label-map {unknown[0]}=NAME to rename, or choose other data"


def _certain_pairs(
    present: set[str], unknown: Sequence[str], known: Sequence[str]
) -> list[tuple[str, str]]:
    """Returns the pairs to rename where each label is one of the model's in another spelling.

    ``LABEL_1`` is the number 1 by Transformers' own rule; else only case and blanks may differ.
    """
    spellings = {_plain(label): label for label in known}
    if len(spellings) < len(known) or len({_plain(label) for label in present}) < len(present):
        return []
    pairs = [(label, spellings.get(_plain(label), "")) for label in unknown]
    safe = all(new and not set(f"{old}{new}") & {",", "="} for old, new in pairs)
    return pairs if safe else []


def _plain(label: str) -> str:
    match = _NUMBERED.fullmatch(label)
    return match[1] if match is not None else " ".join(label.split()).casefold()


def _are_numbers(labels: Iterable[str]) -> bool:
    return all(_NUMBERED.fullmatch(label) for label in labels)
