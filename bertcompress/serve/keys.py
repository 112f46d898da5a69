"""Keys: who may ask for what, read from a file that can change while the server runs.

A key is ``bc_<id>_<secret>``: 256 random bits, shown once when it is made. The file holds its id,
the SHA-256 of its secret, its scopes and its end; a slow hash protects passwords that people
choose, not random bits. The file is looked at again when its time or inode has changed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

from bertcompress.codec import decode, to_plain
from bertcompress.errors import LoadError, UsageError
from bertcompress.files import json_text, write_whole

Scope = Literal["infer", "metrics"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_LOOK_EVERY_S = 1.0
_NOBODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Key:
    """What the file says of one key.

    Attributes:
        id: Its public part, which logs may show.
        sha256: Of its secret.
        scopes: What it is for.
        expires: When it ends, ISO 8601 with a time zone; None never.
        tokens_per_minute: How much it may ask for; None any amount.
    """

    id: str
    sha256: str
    scopes: tuple[Scope, ...] = ("infer",)
    expires: str | None = None
    tokens_per_minute: int | None = None

    def is_over(self, now: datetime) -> bool:
        """Tells whether it has ended."""
        return self.expires is not None and datetime.fromisoformat(self.expires) <= now


class KeyFile:
    """The keys of a file, see the module's docstring.

    Raises:
        LoadError: If the file can't be read as keys. While the server runs, a file that can't be
            read leaves the keys as they were.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._looked = 0.0
        self._keys: dict[str, Key] = {}
        self._read()

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, given: str) -> Key | None:
        """Returns the key that was given, None if it is not one of these or has ended.

        A key that is not there takes as long to refuse as a wrong secret.
        """
        self._look()
        _, _, rest = given.partition("bc_")
        name, _, secret = rest.partition("_")
        key = self._keys.get(name)
        known = key.sha256 if key else _NOBODY
        fits = hmac.compare_digest(hashlib.sha256(secret.encode()).hexdigest(), known)
        if key is None or not fits or not secret or key.is_over(datetime.now(UTC)):
            return None
        return key

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_EVERY_S:
            return
        self._looked = now
        try:
            if self._stamp != _stamp(self._path):
                self._read()
        except (LoadError, OSError):
            return  # half written by an editor: looked at again

    def _read(self) -> None:
        keys = read_keys(self._path)
        self._stamp, self._keys = _stamp(self._path), {key.id: key for key in keys}


def read_keys(path: Path) -> tuple[Key, ...]:
    """Reads a file of keys.

    Raises:
        LoadError: If it can't be read as keys.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        keys = tuple(decode(Key, one, f"{path}: keys") for one in plain["keys"])
        for key in keys:
            key.is_over(datetime.now(UTC))
    except OSError as error:
        raise LoadError(f"can't read {path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, UsageError) as error:
        raise LoadError(
            f"{path} is no file of keys: {error}; type: bertcompress serve --new-key NAME --keys "
            f"{path}"
        ) from error
    return keys


def add_key(
    path: Path,
    name: str,
    *,
    scopes: tuple[Scope, ...] = ("infer",),
    days: int | None = None,
    tokens_per_minute: int | None = None,
) -> str:
    """Makes a key and adds it to a file, which is made if it is not there.

    Args:
        path: The file; readable by its owner only when it is new.
        name: The key's id: letters, digits and dashes.
        scopes: What it is for.
        days: After how many days it ends.
        tokens_per_minute: How much it may ask for, see `bertcompress.serve.allowances`.

    Returns:
        The key, which nothing else ever shows again.

    Raises:
        UsageError: The name can't be one, or is taken.
        LoadError: The file holds something else.
    """
    if not name.replace("-", "").isalnum() or not name.isascii():
        raise UsageError(f"a key's name has letters, digits and dashes, got {name!r}")
    keys = read_keys(path) if path.exists() else ()
    if name in {key.id for key in keys}:
        raise UsageError(f"{path} has a key {name} already; give another name")
    secret = secrets.token_urlsafe(32)
    expires = None if days is None else (datetime.now(UTC) + timedelta(days=days)).isoformat()
    key = Key(name, hashlib.sha256(secret.encode()).hexdigest(), scopes, expires, tokens_per_minute)
    path.touch(mode=0o600)
    content = {"keys": [to_plain(one) for one in (*keys, key)]}
    write_whole(path, json_text(content, indent=2).encode() + b"\n")
    return f"bc_{name}_{secret}"


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_ino
