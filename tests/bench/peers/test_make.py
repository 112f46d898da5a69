"""Recipes of peers: each answers as the checkpoint does, in the words of its task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bertcompress.artifacts.artifact_files import model_files
from bertcompress.bench.peers import PEERS
from bertcompress.bench.peers import make as recipes
from bertcompress.bench.worker.peer_runners import open_peer
from bertcompress.bench.workload import save_workload, single_stream
from bertcompress.machine.cpu import cpu_flags, saturates
from bertcompress.runtimes.torch.runtime import TorchRuntime
from fixtures.peers import drawn_features

Folder = Callable[..., Path]


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


def build(recipe: str, model: Path, tmp_path: Path) -> Path:
    for module in NEEDED[recipe]:
        pytest.importorskip(module)
    feeds, out = tmp_path / "feeds.npz", tmp_path / "out"
    save_workload(single_stream(drawn_features(), pad_token_id=0, name="calibration"), feeds)
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


def test_a_graph_is_no_checkpoint_to_make_peers_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "load", lambda folder: "a graph")

    assert recipes.main(["ort-fp32", "model", "feeds", str(tmp_path)]) == 1
    assert "holds a graph" in capsys.readouterr().err
