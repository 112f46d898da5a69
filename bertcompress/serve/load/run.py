"""Starts loads and servers as processes of their own, and always ends them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bertcompress.codec import from_plain, to_plain
from bertcompress.errors import RunError
from bertcompress.serve.load.plan import LoadPlan, LoadResult
from bertcompress.serve.settings import ModelSettings, ServeSettings
from bertcompress.serve.sockets import listening
from bertcompress.serve.supervisor import start_front

_END_S = 40.0


def run_load(plan: LoadPlan) -> LoadResult:
    """Puts a load on a server and returns what came of it.

    Raises:
        RunError: The server can't be reached.
    """
    with start_load(plan) as loading:
        return result_of(loading)


def start_load(plan: LoadPlan) -> subprocess.Popen[str]:
    """Starts a load that goes on beside what the caller does; see `result_of`."""
    loading = subprocess.Popen(
        [sys.executable, "-P", "-m", "bertcompress.serve.load.main"],
        env={**os.environ, "BERTCOMPRESS_LAZY": "1", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert loading.stdin is not None
    loading.stdin.write(json.dumps(to_plain(plan)))
    loading.stdin.close()
    loading.stdin = None
    return loading


def result_of(loading: subprocess.Popen[str]) -> LoadResult:
    """Waits for a load and returns what came of it.

    Raises:
        RunError: The server can't be reached.
    """
    try:
        said, failed = loading.communicate()
    finally:
        loading.kill()
    if loading.returncode:
        last = failed.strip().splitlines()[-1:] or ["no reason"]
        raise RunError(f"the load could not be run: {last[0]}")
    return from_plain(LoadResult, json.loads(said))


@contextmanager
def live_server(
    models: Mapping[str, ModelSettings], settings: ServeSettings
) -> Iterator[tuple[int, int]]:
    """Serves in another process; gives its port and the front's process.

    Raises:
        RunError: It did not come up, with what it said.
    """
    with listening(settings) as listener:
        front = start_front(listener, models, settings)
        try:
            _wait_until_ready(front)
            yield listener.getsockname()[1], front.pid
        finally:
            front.terminate()
            try:
                front.communicate(timeout=_END_S)
            except subprocess.TimeoutExpired:
                front.kill()
                front.communicate()


def _wait_until_ready(front: subprocess.Popen[str]) -> None:
    assert front.stdout is not None
    for line in front.stdout:
        said = json.loads(line)
        if "ready" in said:
            return
        if "refused" in said:
            raise RunError(said["refused"])
    raise RunError("the server ended before it was ready")
