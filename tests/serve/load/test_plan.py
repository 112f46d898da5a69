"""What came of a load."""

from __future__ import annotations

import json

from bertcompress.codec import from_plain, to_plain
from bertcompress.serve.load.plan import LoadPlan, LoadResult


def test_wrong_answers_are_no_answers() -> None:
    found = LoadResult({"200": 4, "429": 1}, wrong=1, latencies_s=(0.1,) * 4, seconds=2.0)
    assert found.rate == 1.5
    assert LoadResult().rate == 0.0


def test_both_go_from_process_to_process() -> None:
    for one in (LoadPlan("h", 1, "/p", ("{}",), rate=2.0), LoadResult({"200": 1}, 0, (0.5,))):
        assert from_plain(type(one), json.loads(json.dumps(to_plain(one)))) == one
