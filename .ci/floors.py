"""Prints pip's constraints for the lowest version of each dependency that pyproject.toml allows.

python .ci/floors.py > constraints.txt
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

EXTRAS = ("cpu", "data", "train")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?>=([0-9][0-9.]*)")


def floors() -> Iterator[str]:
    """Yields ``name==lowest`` for each dependency and those of `EXTRAS`.

    Raises:
        ValueError: One has no floor.
    """
    text = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"]
    for requirement in (
        *project["dependencies"],
        *(one for name in EXTRAS for one in extras[name]),
    ):
        match = _REQUIREMENT.match(requirement)
        if match is None:
            raise ValueError(f"{requirement} has no lowest version; write name>=version")
        yield f"{match[1]}=={match[2]}"


if __name__ == "__main__":
    print("\n".join(floors()))
