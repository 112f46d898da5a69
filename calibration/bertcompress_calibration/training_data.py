"""Which examples ranges may be found on: those that accuracy is not measured on.

Ranges that were found on the evaluation split fit its outliers, and the accuracy that is measured
there afterwards says nothing about other texts. Readers name each example by its file or split and
its row (``test.tsv:17``, ``hf:glue/sst2/validation:3``, ``eng.testa:5``), which is what is looked
at here, besides the split's own name. A table keeps the ids, so that whoever measures accuracy can
look for them later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bertcompress.data.split_source import split_in_name
from bertcompress.errors import UsageError
from bertcompress.examples import Example

_EVALUATION = {"validation", "test"}
_ROW = re.compile(r"(?P<source>.*):\d+")


def check_training(examples: Sequence[Example], split: str | None) -> str | None:
    """Returns the split that the examples are of: the one given, or the one that all ids name.

    Args:
        examples: What samples are drawn from.
        split: The split that they were read from, if that is known.

    Raises:
        UsageError: They, or some of them, are of a split that accuracy is measured on.
    """
    found = {name: one.id for one in examples if (name := _split_in(one.id)) is not None}
    if split is not None:
        found[split_in_name(split) or split] = ""
    for name in sorted(_EVALUATION & found.keys()):
        example = f" ({found[name]})" if found[name] else ""
        raise UsageError(
            f"calibration was asked on examples of the {name} split{example}, which accuracy is "
            "measured on; give it training data"
        )
    if split is None and len(found) == 1:
        return next(iter(found))
    return split


def _split_in(example_id: str) -> str | None:
    """Returns the split that the name of an example's file or part means, if exactly one."""
    row = _ROW.fullmatch(example_id)
    return split_in_name(row["source"].split("/")[-1]) if row is not None else None
