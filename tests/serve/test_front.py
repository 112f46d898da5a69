"""The front's process by itself: what it says, and when it ends."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bertcompress.codec import to_plain
from bertcompress.serve.settings import ModelSettings, ServeSettings


def start(listener: socket.socket, folder: Path) -> subprocess.Popen[str]:
    asked = {
        "models": {"m": to_plain(ModelSettings(folder))},
        "settings": to_plain(ServeSettings(engines="inline")),
    }
    descriptor = listener.fileno()
    return subprocess.Popen(
        [sys.executable, "-m", "bertcompress.serve.front", str(descriptor), json.dumps(asked)],
        pass_fds=(descriptor,),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_it_says_where_it_serves_and_ends_with_its_supervisor(
    graph_folder: Callable[..., Path],
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        start(listener, graph_folder()) as front,
    ):
        assert front.stdout is not None
        assert front.stdin is not None
        port = listener.getsockname()[1]
        assert json.loads(front.stdout.readline()) == {"ready": f"http://127.0.0.1:{port}"}
        front.stdin.close()
        assert json.loads(front.stdout.readline()) == {"closing": True}
        assert front.wait(20) == 0


def test_it_says_what_keeps_it_from_serving(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        start(listener, tmp_path / "none") as front,
    ):
        said, _ = front.communicate(timeout=60)
    assert json.loads(said)["code"] == 1
