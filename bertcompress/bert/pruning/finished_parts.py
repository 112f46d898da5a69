"""Tensors of finished parts of a long run, kept in a folder so that it can go on after a stop.

Each part is one safetensors file, written whole or not at all. It carries the fingerprint of what
it depends on; a part with another fingerprint, or a damaged one, is passed over and replaced.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.errors import PassError

if TYPE_CHECKING:
    import torch

_FINGERPRINT = "fingerprint"


class FinishedParts:
    """The parts of one run.

    Args:
        folder: Where they are, made if needed; None keeps nothing and finds nothing.
        fingerprint: Gives the fingerprint of all that the parts depend on; is asked at most once,
            and never without a folder.
    """

    def __init__(self, folder: Path | None, fingerprint: Callable[[], str]) -> None:
        self._folder = folder
        self._ask = fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return self._ask()

    def read(self, name: str) -> dict[str, torch.Tensor] | None:
        """Returns a finished part's tensors, or None."""
        from safetensors import SafetensorError, safe_open

        if self._folder is None or not (path := self._path(name)).is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                if (file.metadata() or {}).get(_FINGERPRINT) != self._fingerprint:
                    return None
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no dict
        except (SafetensorError, OSError):
            return None

    def write(self, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
        """Keeps a part.

        Raises:
            PassError: If it can't be written; nothing is left behind then.
        """
        from safetensors.torch import save

        if self._folder is None:
            return
        path = self._path(name)
        staging = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        content = save(dict(tensors), {_FINGERPRINT: self._fingerprint})
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                staging.write_bytes(content)
                staging.replace(path)
            finally:
                staging.unlink(missing_ok=True)
        except OSError as error:
            raise PassError(
                f"could not keep {path}: {error.strerror or error}; what was kept before is "
                "still there"
            ) from error

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{name}.safetensors"
