"""One refusal in the shapes of four interfaces."""

from __future__ import annotations

import json

from bertcompress.serve.refusals import RefusalError
from bertcompress.serve.shapes import hub_error, openai_error, problem, tei_error

FULL = RefusalError(429, "overloaded", "too much waits", {"limit": 3})
WRONG = RefusalError(400, "validation", "inputs is missing")


def test_each_interface_has_its_own() -> None:
    status, body, media_type = problem(FULL)
    assert (status, media_type) == (429, "application/problem+json")
    assert json.loads(body)["limit"] == 3
    assert json.loads(openai_error(FULL)[1])["error"]["type"] == "rate_limit_error"
    assert json.loads(openai_error(WRONG)[1])["error"]["type"] == "invalid_request_error"
    assert (tei_error(WRONG)[0], tei_error(FULL)[0]) == (422, 429)
    assert json.loads(tei_error(FULL)[1]) == {"error": FULL.detail, "error_type": "overloaded"}
    assert json.loads(hub_error(WRONG)[1]) == {"error": WRONG.detail}
