"""What can be wrong with a request, in one form; each interface writes it in its own shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(eq=False)
class RefusalError(Exception):
    """Says why a request is not answered.

    Attributes:
        status: The HTTP status.
        kind: One word for programs: ``validation``, ``too_long``, ``overloaded``, ….
        detail: One sentence.
        facts: What else a program may want: a limit, what was given.
        headers: More headers of the reply.
    """

    status: int
    kind: str
    detail: str
    facts: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.detail


TITLES = {
    400: "Bad request",
    401: "A key is needed",
    403: "The key is not for this",
    404: "Not found",
    405: "Method not allowed",
    408: "The request came too slowly",
    413: "Too large",
    415: "Not JSON",
    422: "Can't be answered",
    429: "Too much waits already",
    500: "The text could not be answered",
    501: "Not available here",
    503: "Not ready",
    504: "Too late",
}


def invalid(detail: str, **facts: object) -> RefusalError:
    """Returns the refusal of a body that can't be meant."""
    return RefusalError(400, "validation", detail, facts)


def too_large(detail: str, **facts: object) -> RefusalError:
    """Returns the refusal of a body, a list or a text beyond its limit."""
    return RefusalError(413, "too_large", detail, facts)
