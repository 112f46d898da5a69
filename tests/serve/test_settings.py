"""What can't be meant, or is open to others unasked, is refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bertcompress.errors import UsageError
from bertcompress.serve.settings import ServeSettings, is_loopback


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"host": "0.0.0.0"}, "open to other machines"),
        ({"host": "::"}, "open to other machines"),
        ({"host": "example.org"}, "open to other machines"),
        ({"port": 70_000}, "--port"),
        ({"engines": 0}, "--engines"),
        ({"max_texts": 0}, "--max-texts"),
        ({"max_queue_seconds": -1.0}, "--max-queue-seconds"),
        ({"cache_bytes": -1}, "--cache"),
        ({"cache_seconds": 0.0}, "--cache-ttl"),
        ({"tls_key": Path("k")}, "go together"),
    ],
)
def test_each_wrong_setting_has_its_sentence(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ServeSettings(**settings).check()


def test_others_may_ask_with_keys() -> None:
    ServeSettings(host="0.0.0.0", keys=Path("keys.json")).check()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("x", False)],
)
def test_loopback_is_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) == expected
