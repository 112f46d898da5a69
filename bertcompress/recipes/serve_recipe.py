"""What ``serve`` is asked for, as a server takes it: models by name, keys, and a check."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from bertcompress.artifacts.manifest import kind_of, read_manifest
from bertcompress.bert.loading.locate import locate
from bertcompress.errors import MissingDependencyError, RunError, UsageError, did_you_mean
from bertcompress.progress import Note
from bertcompress.serve.keys import SCOPES, add_key
from bertcompress.serve.settings import ModelSettings, ServeSettings
from bertcompress.workspace import find_workspace

_LIBRARIES = ("uvicorn", "starlette", "msgspec", "orjson", "prometheus_client")
_CHECKED = "This text is short, and it is answered before anyone asks."


def models_of(
    words: Sequence[str],
    *,
    task: str | None,
    runtime: str,
    max_length: int | None,
    allow_rejected: bool,
    note: Note,
) -> dict[str, ModelSettings]:
    """Returns the models by the names that requests use.

    Args:
        words: ``FOLDER`` or ``NAME=FOLDER``; none in a workspace stands for its newest artifact.
        task: The task, where a folder does not say it.
        runtime: See `bertcompress.inference.predictor.runtime_here`.
        max_length: Where longer texts are cut, tokens.
        allow_rejected: Whether an artifact that failed its own check may be served.
        note: Is told what would be faster.

    Raises:
        UsageError: No model, or two of one name.
        RunError: A model was rejected when it was made.
    """
    workspace = find_workspace(Path())
    if not words and workspace is None:
        raise UsageError("there is no model to serve; type: bertcompress serve FOLDER")
    found: dict[str, ModelSettings] = {}
    for word in words or [workspace.newest() if workspace else ""]:
        name, equals, rest = word.partition("=")
        folder = locate(rest if equals else word)
        name = name if equals else folder.resolve().name
        if name in found:
            raise UsageError(f"two models are called {name}; name them: NAME={folder}")
        _check_rejected(folder, allowed=allow_rejected)
        if kind_of(folder) == "checkpoint" and runtime == "auto":
            note(
                f"{folder} is a checkpoint and runs in torch; 'bertcompress quantize {folder} "
                "--bits 8' makes a graph that answers faster and starts without torch"
            )
        found[name] = ModelSettings(folder, task, runtime, max_length)
    return found


def engines_of(word: str) -> int | Literal["auto", "inline"]:
    """Returns what ``--engines`` says.

    Raises:
        UsageError: If it is neither a number, nor auto, nor inline.
    """
    if word == "auto":
        return "auto"
    if word == "inline":
        return "inline"
    if word.isdecimal() and int(word) > 0:
        return int(word)
    raise UsageError(f"--engines must be 1 or more, auto or inline, got {word!r}")


def new_key_in(
    path: Path | None,
    name: str,
    *,
    scopes: str,
    days: int | None = None,
    tokens_per_minute: int | None = None,
) -> str:
    """Adds a key to a file and returns it, see `bertcompress.serve.keys.add_key`.

    Args:
        path: The file.
        name: The key's id.
        scopes: What it is for, commas between.
        days: After how many days it ends.
        tokens_per_minute: How much it may ask for.

    Raises:
        UsageError: There is no file to add it to, or the name or days can't be meant.
    """
    if path is None:
        raise UsageError("--new-key adds to a file; give --keys FILE")
    if days is not None and days < 1:
        raise UsageError(f"--days must be 1 or more, got {days}")
    if tokens_per_minute is not None and tokens_per_minute < 1:
        raise UsageError(f"--tokens-per-minute must be 1 or more, got {tokens_per_minute}")
    chosen = tuple(word.strip() for word in scopes.split(","))
    for word in chosen:
        if word not in SCOPES:
            raise UsageError(
                f"there is no scope {word!r}; the scopes are {', '.join(SCOPES)}"
                + did_you_mean(word, SCOPES)
            )
    known = tuple(scope for scope in SCOPES if scope in chosen)
    return add_key(path, name, scopes=known, days=days, tokens_per_minute=tokens_per_minute)


def ports_of(word: str) -> tuple[int, int]:
    """Returns the two ports of bert-as-service.

    Raises:
        UsageError: If it is not two ports with a comma between.
    """
    parts = word.split(",")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) < 1 << 16 for part in parts):
        raise UsageError(f"--bert-as-service-ports must be two, such as 5555,5556; got {word!r}")
    return int(parts[0]), int(parts[1])


def check_libraries(*, bert_as_service: bool = False) -> None:
    """Fails with what to type if the server's libraries are not installed.

    Args:
        bert_as_service: Whether bert-as-service's protocol is spoken too.

    Raises:
        MissingDependencyError: If one is not.
    """
    wanted = [(name, "serve", "serving over HTTP") for name in _LIBRARIES]
    if bert_as_service:
        wanted.append(("zmq", "bert-as-service", "answering clients of bert-as-service"))
    for name, extra, purpose in wanted:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise MissingDependencyError(name, extra, purpose) from error


def check_server(
    models: dict[str, ModelSettings], settings: ServeSettings, *, note: Note
) -> list[str]:
    """Loads each model as the server does, answers one text, and returns the settings as lines.

    Raises:
        BertCompressError: What would keep the server from serving.
    """
    from bertcompress.serve.server import check_models

    settings.check()
    return asyncio.run(check_models(models, settings, _CHECKED, note=note))


def _check_rejected(folder: Path, *, allowed: bool) -> None:
    manifest = read_manifest(folder)
    if manifest is None:
        return
    why = next((step.rejected for step in manifest.history if step.rejected), None)
    if why and not allowed:
        raise RunError(
            f"{folder} was rejected when it was made: {why}; serve another, or add --allow-rejected"
        )
