"""Every status that is sent has its words."""

from __future__ import annotations

import re
from pathlib import Path

from bertcompress.serve.refusals import TITLES, invalid, too_large

SERVE = Path(__file__).parents[2] / "bertcompress" / "serve"


def test_every_status_has_a_title() -> None:
    sources = "".join(path.read_text() for path in SERVE.rglob("*.py"))
    used = {int(found) for found in re.findall(r"RefusalError\(\s*(\d{3})", sources)}
    assert used
    assert used <= {*TITLES}


def test_a_refusal_says_its_sentence() -> None:
    assert str(invalid("no", got=1)) == "no"
    assert (too_large("big", limit=3).status, too_large("big", limit=3).facts) == (
        413,
        {"limit": 3},
    )
