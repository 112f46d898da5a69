"""The page at ``/``, where a person tries what is served; it asks this server and nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
"""The files by path, with their types; nothing in them is of a model, so that no key is needed."""


def page(path: str) -> Callable[[Request], Awaitable[Response]]:
    """Returns the route of one of `FILES`."""
    name, media_type = FILES[path]
    content = (files("bertcompress.serve") / "page" / name).read_bytes()

    async def answer(request: Request) -> Response:
        del request
        return Response(content, headers=_HEADERS, media_type=media_type)

    return answer
