"""What a load is and what came of it, as two processes tell each other."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LoadPlan:
    """Requests to one server.

    Attributes:
        host: Its address.
        port: Its port.
        path: What is posted to.
        bodies: JSON of the requests, taken in turn.
        headers: More headers of each request, such as a key.
        connections: Kept open; in a closed loop each asks again as soon as it is answered.
        seconds: How long requests are sent.
        rate: Requests a second that arrive at random (Poisson); None for a closed loop.
        seed: Of the arrivals.
        expected: For each body a part of the right answer; empty if answers are not looked at.
    """

    host: str
    port: int
    path: str
    bodies: tuple[str, ...]
    headers: tuple[str, ...] = ()
    connections: int = 64
    seconds: float = 5.0
    rate: float | None = None
    seed: int = 0
    expected: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadResult:
    """What a server did under a load.

    Attributes:
        statuses: Answers by HTTP status; ``lost`` for those that never came.
        wrong: Answers of status 200 without the expected part.
        latencies_s: Of answers of status 200. In a closed loop from sending to the last byte; at a
            rate from when the request was due, so that a stall is charged to all that waited.
        refused_s: The same of answers of status 429.
        seconds: From the first request to the last answer.
        loader_cpu_s: Processor seconds of the loading process.
        late_s: How late the loader sent requests, the largest; 0 in a closed loop.
    """

    statuses: dict[str, int] = field(default_factory=dict)
    wrong: int = 0
    latencies_s: tuple[float, ...] = ()
    refused_s: tuple[float, ...] = ()
    seconds: float = 0.0
    loader_cpu_s: float = 0.0
    late_s: float = 0.0

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return (len(self.latencies_s) - self.wrong) / self.seconds if self.seconds else 0.0
