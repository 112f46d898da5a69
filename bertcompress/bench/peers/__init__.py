"""Peers: what a user would do instead, measured in the same run on the same inputs.

Each peer is a well-known library at its usual settings, made from the same checkpoint. A folder of
its own holds what it loads::

    PEERS/<peer>/peer.json     which runner opens it, and how
    PEERS/<peer>/peer/         the files that it loads

It is made in a process of its own (`bertcompress.bench.peers.make`), because these libraries
print, change global settings and may crash, and opened by the runtime name ``peer``
(`bertcompress.bench.worker.peer_runners`). A peer that is not installed, or can't be made of this
model, is named in the report; none is left out silently.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bertcompress.bench.names import PEER_RUNTIME
from bertcompress.bench.variant import Variant
from bertcompress.bench.worker.client import WorkerProcess, child_environment
from bertcompress.bench.workload import save_workload, single_stream
from bertcompress.errors import RunError
from bertcompress.progress import Progress, silent
from bertcompress.tasks.base import Feature

SAMPLES = 300
"""Training texts that a peer may calibrate on, as many as `QuantizeStatic` takes by default."""


@dataclass(frozen=True)
class Peer:
    """A library at its usual settings.

    Attributes:
        name: As reports call it.
        recipe: Its name in `bertcompress.bench.peers.make`.
        modules: What must be installed.
        needs_compiler: Whether it compiles C++ when it is first run.
    """

    name: str
    recipe: str
    modules: tuple[str, ...] = ()
    needs_compiler: bool = False


PEERS = (
    Peer("Transformers FP32", "transformers-fp32"),
    Peer("Transformers BF16", "transformers-bf16"),
    Peer("torch.compile FP32", "torch-compile", needs_compiler=True),
    Peer("ONNX Runtime FP32", "ort-fp32", ("onnxruntime",)),
    Peer("ONNX Runtime dynamic INT8", "ort-dynamic-int8", ("onnxruntime",)),
    Peer("ONNX Runtime fused + dynamic INT8", "ort-fused-dynamic-int8", ("onnxruntime",)),
    Peer("OpenVINO + NNCF INT8", "openvino-nncf-int8", ("onnxruntime", "openvino", "nncf")),
    Peer("CTranslate2 INT8", "ctranslate2-int8", ("ctranslate2",)),
)
"""In the order of the report."""


def make_peers(
    model: Path,
    features: Sequence[Feature],
    folder: Path,
    *,
    threads: int,
    peers: Sequence[Peer] = PEERS,
    pad_token_id: int = 0,
    progress: Progress = silent,
) -> tuple[list[Variant], list[str]]:
    """Makes every peer that can be made, and tries each one once.

    Args:
        model: The checkpoint's folder.
        features: Training texts as tokens, for those that calibrate.
        folder: Where the peers' folders go; those that are there already are kept.
        threads: Of each runtime.
        peers: Which ones.
        pad_token_id: The tokenizer's padding token.
        progress: Is told which one is being made.

    Returns:
        The peers as variants, and a sentence for each that is not among them.
    """
    variants: list[Variant] = []
    skipped: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bertcompress-peers-") as name:
        scratch = Path(name)
        feeds = scratch / "feeds.npz"
        drawn = single_stream(features[:SAMPLES], pad_token_id=pad_token_id, name="calibration")
        save_workload(drawn, feeds)
        for number, peer in enumerate(peers):
            progress(f"making the peers: {peer.name}", number, len(peers))
            try:
                _check(peer)
                place = folder / peer.recipe
                if not place.is_dir():
                    _make(peer, model, feeds, place, threads=threads)
                variant = Variant(peer.name, place, PEER_RUNTIME)
                with WorkerProcess(peer.name, scratch=scratch, threads=threads) as process:
                    process.load(place, PEER_RUNTIME)
                    process.run(drawn.feeds[0])
                variants.append(variant)
            except RunError as error:
                sentence = str(error).removeprefix(f"{peer.name}: ")
                skipped.append(f"{peer.name} was not measured: {sentence}")
        progress("making the peers", len(peers), len(peers))
    return variants, skipped


def _check(peer: Peer) -> None:
    missing = [module for module in peer.modules if importlib.util.find_spec(module) is None]
    if missing:
        raise RunError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed; "
            'type: pip install "bertcompress[peers]"'
        )
    if peer.needs_compiler and not (shutil.which("g++") or shutil.which("clang++")):
        raise RunError("it compiles C++ when it is run, and there is no g++ or clang++")


def _make(peer: Peer, model: Path, feeds: Path, place: Path, *, threads: int) -> None:
    """Runs a recipe in a process of its own; the folder appears whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{peer.recipe}-", dir=place.parent))
    command = [sys.executable, "-P", "-m", "bertcompress.bench.peers.make"]
    command += [peer.recipe, str(model.resolve()), str(feeds), str(unfinished)]
    try:
        done = subprocess.run(
            command,
            env=child_environment(threads),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise RunError(f"it can't be made of this model: {lines[-1] if lines else 'no reason'}")
        unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
