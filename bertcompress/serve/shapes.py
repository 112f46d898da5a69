"""How each interface writes a refusal: its own codes and fields, so that its clients understand."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from bertcompress.serve.refusals import TITLES, RefusalError

Shape = Callable[[RefusalError], tuple[int, bytes, str]]
"""Gives status, body and media type."""
_JSON = "application/json"


def problem(refusal: RefusalError) -> tuple[int, bytes, str]:
    """Writes ours: RFC 9457."""
    body = {
        "type": "about:blank",
        "title": TITLES.get(refusal.status, "Error"),
        "status": refusal.status,
        "detail": refusal.detail,
        "error_type": refusal.kind,
        **refusal.facts,
    }
    return refusal.status, orjson.dumps(body), "application/problem+json"


def openai_error(refusal: RefusalError) -> tuple[int, bytes, str]:
    """Writes that of OpenAI's API."""
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = kinds.get(refusal.status) or (
        "server_error" if refusal.status >= 500 else "invalid_request_error"
    )
    error = {"message": refusal.detail, "type": kind, "param": None, "code": refusal.kind}
    return refusal.status, orjson.dumps({"error": error}), _JSON


def tei_error(refusal: RefusalError) -> tuple[int, bytes, str]:
    """Writes that of text-embeddings-inference, whose validation errors are 422 and 413."""
    kinds = {429: "overloaded", 413: "Validation", 424: "Backend", 500: "Backend", 503: "Unhealthy"}
    status = 422 if refusal.status == 400 else refusal.status
    kind = kinds.get(status, "Validation")
    return status, orjson.dumps({"error": refusal.detail, "error_type": kind}), _JSON


def hub_error(refusal: RefusalError) -> tuple[int, bytes, str]:
    """Writes that of Hugging Face's inference servers and of the Open Inference Protocol."""
    return refusal.status, orjson.dumps({"error": refusal.detail}), _JSON
