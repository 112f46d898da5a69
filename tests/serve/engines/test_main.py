"""An engine's process answers batches, says why it can't, and holds no torch, no Transformers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bertcompress.serve.engines.main import serve
from bertcompress.serve.engines.sessions import EngineSettings
from bertcompress.serve.wire import Message, packed, read_message

LOADED = """
import sys
import bertcompress.serve.engines.main, bertcompress.serve.server, bertcompress.serve.app
from bertcompress.serve.engines.sessions import EngineSettings, Sessions
from bertcompress.inference.predictor import Predictor
from pathlib import Path
folder = Path(sys.argv[1])
with Sessions(EngineSettings(folder, "ort-cpu")):
    Predictor.open(folder)
print([name for name in ("torch", "transformers", "onnx", "scipy") if name in sys.modules])
"""


def ids(*rows: list[int]) -> dict[str, np.ndarray]:
    values = np.asarray(rows, np.int32)
    return {
        "input_ids": values,
        "attention_mask": np.ones_like(values),
        "token_type_ids": np.zeros_like(values),
    }


def test_batches_are_answered_until_the_front_has_gone(graph_folder: Callable[..., Path]) -> None:
    ours, theirs = socket.socketpair()
    settings = EngineSettings(graph_folder(), "ort-cpu")
    with ours, theirs:
        running = threading.Thread(target=serve, args=(theirs, settings))
        running.start()
        with ours.makefile("rb") as stream:
            ready = read_message(stream.read)
            assert ready is not None
            assert ready.head == {"ready": True}
            ours.sendall(packed(Message({"wide": False}, ids([1, 2, 3], [4, 5, 6]))))
            answer = read_message(stream.read)
            assert answer is not None
            assert answer.arrays["logits"].shape == (2, 2)
            ours.sendall(packed(Message({"wide": False}, ids(list(range(1, 2000))))))
            refused = read_message(stream.read)
            assert refused is not None
            assert "error" in refused.head
        ours.shutdown(socket.SHUT_WR)
        running.join(10)
        assert not running.is_alive()


def test_an_artifact_that_can_not_be_run_is_told(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        serve(theirs, EngineSettings(tmp_path, "ort-cpu"))
        with ours.makefile("rb") as stream:
            message = read_message(stream.read)
    assert message is not None
    assert "refused" in message.head


def test_front_and_engine_import_neither_torch_nor_transformers(
    graph_folder: Callable[..., Path],
) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LOADED, str(graph_folder())],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BERTCOMPRESS_LAZY": "1"},  # as the command sets it
    )
    assert found.stdout.strip() == "[]"
