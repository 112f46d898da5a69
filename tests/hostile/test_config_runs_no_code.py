"""What a model's folder says chooses no code: none of it is run, fetched or imported."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertcompress.artifacts.artifact import save
from bertcompress.bert.loading.load import load, load_encoder
from bertcompress.inference.predictor import Predictor
from fixtures.loading import checkpoint

HOSTILE_CODE = """
from pathlib import Path
Path({marker!r}).write_text("code ran")
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast
class Config(BertConfig): pass
class Model(BertForSequenceClassification): pass
class Tokenizer(BertTokenizerFast): pass
"""
SETTINGS: dict[str, Any] = {
    "auto_map": {
        "AutoConfig": "hostile.Config",
        "AutoModel": "hostile.Model",
        "AutoModelForSequenceClassification": "hostile.Model",
    },
    "custom_pipelines": {"text-classification": {"impl": "hostile.Model"}},
    "trust_remote_code": True,
    "attn_implementation": "kernels-community/flash-attn",
    "_attn_implementation": "someone/kernel:hostile",
    "_attn_implementation_internal": "paged|someone/kernel",
    "experts_implementation": "someone/kernel",
    "use_kernels": True,
    "kernel_config": {"kernel_mapping": {"Linear": "someone/kernel:hostile"}},
    "quantization_config": {"quant_method": "gptq", "bits": 4, "modules_to_not_convert": None},
    "compression_config": {"quant_method": "compressed-tensors"},
}


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "ran"


@pytest.fixture
def hostile(
    tmp_path: Path,
    marker: Path,
    tiny_folder: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Gives a sound folder whose files name code, in it and on the hub; no connection is made."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket, "create_connection", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    folder = tmp_path / "hostile"
    shutil.copytree(tiny_folder(), folder)
    for name in ("config.json", "tokenizer_config.json"):
        fields = json.loads((folder / name).read_text())
        more = {"auto_map": {"AutoTokenizer": ["hostile.Tokenizer", "hostile.Tokenizer"]}}
        (folder / name).write_text(
            json.dumps({**fields, **(SETTINGS if name == "config.json" else more)})
        )
    for name in ("hostile", "modeling_pruned_bert", "sitecustomize", "setup"):
        (folder / f"{name}.py").write_text(HOSTILE_CODE.format(marker=str(marker)))
    (folder / "generation_config.json").write_text('{"custom_generate": "hostile"}')
    return folder


def test_a_checkpoint_is_loaded_without_its_code(
    hostile: Path, marker: Path, tiny_folder: Callable[..., Path]
) -> None:
    loaded = checkpoint(hostile)

    own = checkpoint(tiny_folder())
    assert type(loaded.model) is type(own.model)
    assert loaded.config._attn_implementation == own.config._attn_implementation
    assert getattr(loaded.config, "auto_map", None) is None
    assert getattr(loaded.config, "quantization_config", None) is None
    load_encoder(hostile, task="text-classification", labels=("a", "b"))
    assert not marker.exists()
    assert "kernels" not in sys.modules


@pytest.mark.parametrize("runtime", ["torch-cpu", "auto"])
def test_texts_are_answered_without_it(hostile: Path, marker: Path, runtime: str) -> None:
    with Predictor.open(hostile, runtime=runtime) as model:
        answers = model.predict(["a good film"])

    assert len(answers.predictions) == 1
    assert not marker.exists()


def test_what_is_written_names_none_of_it(hostile: Path, marker: Path, tmp_path: Path) -> None:
    save(load(hostile), tmp_path / "out")

    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert not SETTINGS.keys() & written.keys()
    assert not [*(tmp_path / "out").glob("*.py")]
    assert not marker.exists()
