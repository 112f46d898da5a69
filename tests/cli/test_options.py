"""Options say what can be typed."""

from __future__ import annotations

from bertcompress.runtimes import RUNTIME_NAMES
from bertcompress_cli.options import RuntimeOption


def test_the_help_names_every_runtime() -> None:
    said = RuntimeOption.__metadata__[0].help  # type: ignore[attr-defined]  # of Annotated
    for name in RUNTIME_NAMES:
        assert name in said or f"-{name.rpartition('-')[2]}" in said
