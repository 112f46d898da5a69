"""How a server serves: where it listens, what it takes, how much may wait."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bertcompress.errors import UsageError

Api = Literal["native", "tei"]
MIB = 1 << 20


@dataclass(frozen=True)
class ServeSettings:
    """Everything about a server but its models.

    Attributes:
        host: The address that it listens on.
        port: The port; 0 for a free one.
        api: Whose routes stand at the root; those of text-embeddings-inference are always under
            ``/tei`` too.
        engines: Engine processes of each model: a number, ``auto`` for one a CPU, or ``inline`` for
            none.
        max_queue_seconds: A request that would wait longer is refused at once.
        max_texts: Texts in a request.
        max_characters: Characters in a text.
        max_body_bytes: Bytes of a request.
        body_seconds: A request's body that takes longer to arrive is refused.
        cache_bytes: Answers that are kept; 0 for none.
        cache_seconds: How long an answer holds; None for as long as there is room.
        keys: A file of keys; None lets anyone ask, on loopback only.
        share_cache: Whether keys share their cached answers.
        bert_as_service: The ports of bert-as-service's protocol, in and out; None for none.
        drain_delay: Seconds from the signal that ends the server to the last new request.
        drain_limit: Seconds that accepted requests have after that.
        tls_certificate: A certificate chain, PEM.
        tls_key: Its key, PEM.
        access_log: Whether each request is logged: its id, sizes and times, never a text or a key.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    api: Api = "native"
    engines: int | Literal["auto", "inline"] = "auto"
    max_queue_seconds: float = 10.0
    max_texts: int = 1024
    max_characters: int = 1_000_000
    max_body_bytes: int = 8 * MIB
    body_seconds: float = 20.0
    cache_bytes: int = 64 * MIB
    cache_seconds: float | None = None
    keys: Path | None = None
    share_cache: bool = False
    bert_as_service: tuple[int, int] | None = None
    drain_delay: float = 0.0
    drain_limit: float = 30.0
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    access_log: bool = False

    def check(self) -> None:
        """Fails where something can't be meant, or is open to more people than was said.

        Raises:
            UsageError: With what to type instead.
        """
        if not 0 <= self.port < 1 << 16:
            raise UsageError(f"--port must be 0 to 65535, got {self.port}")
        if isinstance(self.engines, int) and self.engines < 1:
            raise UsageError(f"--engines must be 1 or more, auto or inline, got {self.engines}")
        for name in ("max_queue_seconds", "max_texts", "max_characters", "max_body_bytes"):
            if getattr(self, name) <= 0:
                option = name.replace("_", "-")
                raise UsageError(f"--{option} must be above 0, got {getattr(self, name)}")
        if self.cache_bytes < 0 or (self.cache_seconds is not None and self.cache_seconds <= 0):
            raise UsageError("--cache must be 0 or more, and --cache-ttl above 0")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise UsageError("--tls-cert and --tls-key go together; give both")
        if self.keys is None and not is_loopback(self.host):
            raise UsageError(
                f"{self.host} is open to other machines, and anyone there could ask; give --keys "
                "FILE (bertcompress serve --new-key NAME --keys FILE makes it), or --host 127.0.0.1"
            )


@dataclass(frozen=True)
class ModelSettings:
    """One model to serve.

    Attributes:
        folder: Its folder.
        task: Its task, where the folder does not say it.
        runtime: One of `bertcompress.runtimes.RUNTIME_NAMES`, or ``auto``.
        max_length: Where longer texts are cut, tokens.
    """

    folder: Path
    task: str | None = None
    runtime: str = "auto"
    max_length: int | None = None


def is_loopback(host: str) -> bool:
    """Tells whether an address reaches this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
