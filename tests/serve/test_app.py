"""Paths that are there, paths that are not, and what stands between a request and its answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.serving import Serve

SERVE = Path(__file__).parents[2] / "bertcompress" / "serve"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/nothing", 404),
        ("GET", "/predict", 405),
        ("POST", "/predict/", 404),
        ("POST", "/tei/nothing", 404),
        ("GET", "/../../etc/passwd", 404),
        ("DELETE", "/models", 405),
    ],
)
def test_paths(served: Serve, method: str, path: str, status: int) -> None:
    with served() as opened:
        reply = opened.client.request(method, path, follow_redirects=False)
    assert reply.status_code == status
    if status in (404, 405):
        assert reply.json()["status"] == status


def test_nothing_that_slows_every_request_is_used() -> None:
    """BaseHTTPMiddleware costs two thirds of the rate, and hides clients that have gone."""
    sources = "".join(path.read_text() for path in SERVE.rglob("*.py"))
    assert "BaseHTTPMiddleware" not in sources
    assert "import pickle" not in sources
