"""Folders, hub names, and the one sentence where there is neither."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.loading.load import load
from bertcompress.bert.loading.locate import locate
from bertcompress.errors import LoadError

ASK = """
from bertcompress.bert.loading.locate import locate
from bertcompress.errors import LoadError
for name in ("a/missing", "a/gated", "a/there", "a/broken"):
    try:
        locate(name, revision="v9" if name == "a/there" else None)
    except LoadError as error:
        print(error)
"""


def refusal(model: str | Path) -> str:
    with pytest.raises(LoadError) as caught:
        locate(model)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_folder_is_itself(tiny_folder: Callable[..., Path]) -> None:
    assert locate(str(tiny_folder())) == tiny_folder()


def test_a_path_that_is_not_there_is_told_in_one_sentence(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing") == f"there is no folder {tmp_path / 'nothing'}"


def test_a_near_name_is_offered(tmp_path: Path) -> None:
    (tmp_path / "pruned").mkdir()

    assert refusal(tmp_path / "prunde").endswith("; did you mean 'pruned'?")


@pytest.mark.parametrize("name", ["a/b/c", "./x", "../x", "hello world", "~/nowhere-at-all"])
def test_what_can_only_be_a_path_is_not_sought_on_the_hub(name: str) -> None:
    assert refusal(name).startswith("there is no folder ")


def test_a_name_inside_a_folder_here_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)

    assert refusal("out/small") == "there is no folder out/small"


def test_a_file_is_told_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")

    assert refusal(tmp_path / "model.onnx").endswith("is a file; type the model's folder")


def test_a_folder_without_a_configuration_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path).startswith(f"{tmp_path} has no config.json")


def test_an_empty_name_is_told() -> None:
    assert refusal("") == "the model's name is empty; type a folder or a hub name"


def test_a_hub_name_offline_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    message = refusal("owner/name")

    assert message.startswith("there is no folder owner/name, and the hub's model of that name is")


def test_a_cached_hub_model_loads_offline_with_its_pooling(
    tiny_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    stored = tmp_path / "models--owner--name"
    (stored / "refs").mkdir(parents=True)
    (stored / "refs" / "main").write_text("0" * 40)
    (stored / "snapshots").mkdir()
    (stored / "snapshots" / ("0" * 40)).symlink_to(tiny_folder(task="feature-extraction"))

    artifact = load("owner/name")

    assert isinstance(artifact, Checkpoint)
    assert artifact.task == "feature-extraction"
    assert "1_Pooling/config.json" in artifact.side_files


class _Refusing(BaseHTTPRequestHandler):
    """Answers as the hub does where a model can't be had."""

    ANSWERS = (
        ("missing", 404, "RepoNotFound"),
        ("gated", 403, "GatedRepo"),
        ("there", 404, "RevisionNotFound"),
        ("broken", 418, ""),
    )

    def do_GET(self) -> None:
        status, code = next((s, c) for name, s, c in self.ANSWERS if name in self.path)
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def refusing_hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_the_hubs_refusals_are_one_sentence_each(refusing_hub: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path[:0] = {sys.path!r}\n{ASK}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "0",
            "HF_ENDPOINT": refusing_hub,
            "HF_HOME": str(tmp_path),
        },
    )

    missing, gated, revision, broken = done.stdout.splitlines()
    assert missing == "there is no folder a/missing, and the hub has no such model"
    assert gated == "the hub gives a/gated only on request; type: hf auth login"
    assert revision == "the hub's a/there has no revision v9"
    assert broken
