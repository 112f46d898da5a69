"""Peers: made by other libraries, run beside ours, and named when they can't be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.artifacts.artifact_files import model_files
from bertcompress.bench import peers
from bertcompress.bench.peer_folder import Opening
from bertcompress.bench.peers import PEERS, Peer, make_peers
from bertcompress.bench.peers import make as recipes
from bertcompress.bench.worker.peer_runners import open_peer
from bertcompress.bench.workload import save_workload, single_stream
from bertcompress.errors import RunError
from bertcompress.machine.cpu import cpu_flags, saturates
from bertcompress.runtimes.torch.runtime import TorchRuntime
from bertcompress.runtimes.torch.settings import TorchSettings
from bertcompress.tasks.base import Feature

TOLERANCE = {
    "transformers-fp32": 1e-6,
    "transformers-bf16": 0.05,
    "ort-fp32": 1e-5,
    "ort-dynamic-int8": 0.1,
    "ort-fused-dynamic-int8": 0.1,
    "openvino-nncf-int8": 0.35,
    "ctranslate2-int8": 0.1,
}
OVERFLOWING = ("ort-dynamic-int8", "ort-fused-dynamic-int8")
NEEDED = {peer.recipe: peer.modules for peer in PEERS}
Folder = Callable[..., Path]


def features(count: int = 6) -> list[Feature]:
    draw = np.random.default_rng(3)
    made = []
    for number, length in enumerate(draw.integers(4, 12, count)):
        ids = draw.integers(5, 40, length)
        inputs = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        made.append(Feature(number, inputs))
    return made


def build(recipe: str, model: Path, tmp_path: Path) -> Path:
    for module in NEEDED[recipe]:
        pytest.importorskip(module)
    feeds, out = tmp_path / "feeds.npz", tmp_path / "out"
    save_workload(single_stream(features(), pad_token_id=0, name="calibration"), feeds)
    out.mkdir()
    assert recipes.main([recipe, str(model), str(feeds), str(out)]) == 0
    return out


def test_every_recipe_belongs_to_a_peer() -> None:
    assert {peer.recipe for peer in PEERS} == set(recipes.RECIPES)


@pytest.mark.filterwarnings("ignore")  # whatever another library warns of while it converts
@pytest.mark.parametrize("recipe", TOLERANCE)
def test_a_peer_answers_as_the_checkpoint_does(
    recipe: str, tiny_folder: Folder, tmp_path: Path
) -> None:
    model = tiny_folder()
    out = build(recipe, model, tmp_path)
    length = 7
    ids = np.arange(5, 5 + 2 * length).reshape(2, length)
    mask = np.ones_like(ids)
    mask[1, 5:] = 0
    feed = {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": ids * 0}

    with TorchRuntime(model, threads=1) as torch_runtime, open_peer(out, threads=1) as runtime:
        expected = torch_runtime.run(feed)
        got = runtime.run({name: feed[name] for name in runtime.input_names})

    assert set(got) == set(expected) == {"logits"}
    assert got["logits"].dtype == np.float32
    scale = float(np.abs(expected["logits"]).max())
    allowed = TOLERANCE[recipe]
    if recipe in OVERFLOWING and saturates(cpu_flags()):
        allowed *= 3  # the stock quantizer's 8-bit weights overflow there, which is its own fault
    assert float(np.abs(got["logits"] - expected["logits"]).max()) <= allowed * scale
    assert sum(file.stat().st_size for file in model_files(out)) > 10_000


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("token-classification", {"logits"}),
        ("question-answering", {"start_logits", "end_logits"}),
        ("feature-extraction", {"last_hidden_state"}),
    ],
)
@pytest.mark.parametrize("recipe", ["ort-fp32", "ctranslate2-int8"])
def test_a_peer_answers_in_the_words_of_every_task(
    recipe: str, task: str, names: set[str], tiny_folder: Folder, tmp_path: Path
) -> None:
    out = build(recipe, tiny_folder(task=task), tmp_path)
    ids = np.arange(5, 12).reshape(1, 7)

    with open_peer(out, threads=1) as runtime:
        feed = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        got = runtime.run({name: feed[name] for name in runtime.input_names})

    assert set(got) == names


def test_converting_a_model_in_memory_leaves_it_as_it_was(
    tiny_checkpoint: Callable[..., Checkpoint],
) -> None:
    import torch

    model = tiny_checkpoint().model
    with TorchRuntime(model, threads=1, settings=TorchSettings(dtype="bfloat16")):
        pass

    assert next(model.parameters()).dtype == torch.float32


def test_peers_are_made_once_and_become_variants(tiny_folder: Folder, tmp_path: Path) -> None:
    chosen = [peer for peer in PEERS if peer.recipe == "transformers-bf16"]

    first, skipped = make_peers(tiny_folder(), features(), tmp_path, threads=1, peers=chosen)
    made = first[0].folder / "peer.json"
    before = made.stat().st_mtime_ns
    second, _ = make_peers(tiny_folder(), features(), tmp_path, threads=1, peers=chosen)

    assert [variant.name for variant in first] == ["Transformers BF16"]
    assert first == second
    assert first[0].is_peer
    assert made.stat().st_mtime_ns == before
    assert not skipped


def test_a_peer_that_is_not_installed_is_named_with_what_to_type(
    tiny_folder: Folder, tmp_path: Path
) -> None:
    peer = Peer("Other INT8", "other", ("no_such_library", "nor_this"))

    made, skipped = make_peers(tiny_folder(), features(), tmp_path, threads=1, peers=[peer])

    assert not made
    assert skipped == [
        "Other INT8 was not measured: no_such_library and nor_this are not installed; "
        'type: pip install "bertcompress[peers]"'
    ]


def test_a_peer_that_needs_a_compiler_says_so(
    tiny_folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers.shutil, "which", lambda name: None)
    chosen = [peer for peer in PEERS if peer.needs_compiler]

    _, skipped = make_peers(tiny_folder(), features(), tmp_path, threads=1, peers=chosen)

    assert skipped == [
        "torch.compile FP32 was not measured: it compiles C++ when it is run, and there is no "
        "g++ or clang++"
    ]


def test_a_recipe_that_fails_is_named_and_leaves_nothing(
    tiny_folder: Folder, tmp_path: Path
) -> None:
    peer = Peer("Broken", "no-such-recipe")

    made, skipped = make_peers(
        tiny_folder(), features(), tmp_path / "peers", threads=1, peers=[peer]
    )

    assert not made
    assert skipped == [
        "Broken was not measured: it can't be made of this model: KeyError: 'no-such-recipe'"
    ]
    assert list((tmp_path / "peers").iterdir()) == []


def test_a_graph_is_no_checkpoint_to_make_peers_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "load", lambda folder: "a graph")

    assert recipes.main(["ort-fp32", "model", "feeds", str(tmp_path)]) == 1
    assert "holds a graph" in capsys.readouterr().err


def test_an_unknown_library_is_an_error(tmp_path: Path) -> None:
    Opening("abacus").write(tmp_path)

    with pytest.raises(RunError, match="'abacus', which no runner knows"):
        open_peer(tmp_path, threads=1)
