"""A server on a port, started as people start it: its clients, its deaths and its end."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
import psutil
import pytest
from huggingface_hub import InferenceClient

from bertcompress.errors import LoadError, RunError, UsageError
from bertcompress.serve.settings import ModelSettings, ServeSettings
from bertcompress.serve.sockets import listening
from bertcompress.serve.supervisor import serve

COMMAND = "from bertcompress_cli.main import main; main()"


@dataclass
class Live:
    """A running server."""

    address: str
    process: subprocess.Popen[str]

    def ask(self, text: str, path: str = "/predict") -> tuple[int, dict[str, str], str]:
        body = json.dumps({"inputs": text}).encode()
        request = urllib.request.Request(self.address + path, body)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, dict(reply.headers), reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()

    def engines(self) -> list[psutil.Process]:
        return self.front().children()

    def front(self) -> psutil.Process:
        [front] = psutil.Process(self.process.pid).children()
        return front


@contextmanager
def running(*arguments: str) -> Iterator[Live]:
    """Starts the command on a free port, and ends it."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "serve", *arguments, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(r"serving .* on (\S+);", line):
                break
        else:
            raise AssertionError(said)
        yield Live(found[1], process)
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


@pytest.fixture(scope="module")
def live(graph_folder: Callable[..., Path]) -> Iterator[Live]:
    with running(f"texts={graph_folder()}", "--engines", "2", "--cache", "0") as opened:
        yield opened


def test_the_stock_client_of_the_hub_is_answered(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)  # it is this machine
    client = InferenceClient(model=live.address)
    found = client.text_classification("the film is good")
    assert {one.label for one in found} == {"negative", "positive"}


def test_a_killed_engine_loses_nothing(live: Live) -> None:
    stop = threading.Event()
    before = len(live.engines())
    texts = [f"the film is {'not ' * (number % 7)}good" for number in range(40)]
    expected = {text: json.loads(live.ask(text)[2])["results"][0]["label"] for text in texts}

    def ask(number: int) -> tuple[int, bool]:
        text = texts[number % len(texts)]
        status, _, body = live.ask(text)
        return status, status == 200 and json.loads(body)["results"][0]["label"] == expected[text]

    def kill() -> None:
        for _ in range(3):
            live.engines()[0].kill()
            stop.wait(1.0)

    killer = threading.Thread(target=kill)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        killer.start()
        found = list(pool.map(ask, range(400)))
        killer.join()
    assert set(found) == {(200, True)}
    deadline = time.monotonic() + 20
    while len(live.engines()) < before and time.monotonic() < deadline:
        live.ask("good")
        time.sleep(0.2)
    assert len(live.engines()) == before


def test_a_client_that_leaves_harms_nobody(live: Live) -> None:
    host, port = live.address.removeprefix("http://").split(":")
    for sent in (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{",
        b"GET",
        b"\0",
    ):
        with socket.create_connection((host, int(port))) as gone:
            gone.sendall(sent)
    assert live.ask("good")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_finishes_what_was_accepted(
    graph_folder: Callable[..., Path], number: signal.Signals
) -> None:
    with running(str(graph_folder()), "--drain-delay", "0.5", "--cache", "0") as opened:
        engines = opened.engines()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(opened.ask, f"good {text}") for text in range(50)]
            time.sleep(0.05)
            os.kill(opened.process.pid, number)
            time.sleep(0.2)
            with pytest.raises(urllib.error.HTTPError, match="503"):
                urllib.request.urlopen(f"{opened.address}/readyz", timeout=20)
            assert {one.result()[0] for one in asked} == {200}
        opened.process.wait(20)
        host, port = opened.address.removeprefix("http://").split(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))
        assert not any(engine.is_running() for engine in engines)


def test_a_supervisor_that_is_killed_leaves_nothing(graph_folder: Callable[..., Path]) -> None:
    with running(str(graph_folder())) as opened:
        left = [opened.front(), *opened.engines()]
        assert len(left) > 1
        opened.process.kill()
        _, alive = psutil.wait_procs(left, timeout=20)
    assert not alive


def test_a_front_that_is_killed_is_followed_by_another(graph_folder: Callable[..., Path]) -> None:
    with running(str(graph_folder()), "--engines", "1") as opened:
        first, engines = opened.front(), opened.engines()
        first.kill()
        assert opened.ask("good")[0] == 200  # waits in the socket's queue, and is not refused
        assert opened.front().pid != first.pid
        psutil.wait_procs(engines, timeout=20)
        assert not any(engine.is_running() for engine in engines)
        opened.process.terminate()
        assert opened.process.wait(20) == 0


def test_nothing_starts_where_something_is_wrong(
    graph_folder: Callable[..., Path], tmp_path: Path
) -> None:
    models = {"m": ModelSettings(graph_folder())}
    with pytest.raises(UsageError, match="open to other machines"):
        serve(models, ServeSettings(host="0.0.0.0"))
    with pytest.raises(UsageError, match="no model"):
        serve({}, ServeSettings())
    with pytest.raises(LoadError, match="can't read"):
        serve(models, ServeSettings(keys=tmp_path / "none"))
    with listening(ServeSettings(port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RunError, match=f"port {port} .* is in use"):
            serve(models, ServeSettings(port=port))


def test_what_keeps_a_model_from_being_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config\.json") as found:
        serve({"m": ModelSettings(tmp_path)}, ServeSettings(port=0))
    assert found.value.exit_code == LoadError.exit_code
