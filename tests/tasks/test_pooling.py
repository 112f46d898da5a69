"""Sentence Transformers' own files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertcompress.errors import LoadError
from bertcompress.tasks import PoolingSettings, read_pooling


def pooling(folder: Path, content: object) -> Path:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(content))
    return folder


def test_without_files_it_is_the_mean(tmp_path: Path) -> None:
    assert read_pooling(tmp_path) == PoolingSettings("mean", normalize=False)


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
    ],
)
def test_the_files_decide(tmp_path: Path, content: object, mode: str) -> None:
    modules = [{"type": "sentence_transformers.models.Transformer"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))

    settings = read_pooling(pooling(tmp_path, content))

    assert (settings.pooling, settings.normalize) == (mode, False)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"pooling_mode_max_tokens": True}, "asks for pooling_mode_max_tokens; only mean and cls"),
        ({"pooling_mode_max_tokens": True, "pooling_mode_cls_token": True}, "asks for pooling_mo"),
        ({"pooling_mode_cls_token": False}, "asks for no pooling"),
        ([], "must hold a JSON object"),
    ],
)
def test_other_pooling_is_refused(tmp_path: Path, content: object, sentence: str) -> None:
    with pytest.raises(LoadError, match=sentence):
        read_pooling(pooling(tmp_path, content))


@pytest.mark.parametrize(("text", "sentence"), [("{", "can't be read"), ("{}", "a JSON list")])
def test_broken_modules_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "modules.json").write_text(text)

    with pytest.raises(LoadError, match=f"{sentence}.*restore it"):
        read_pooling(tmp_path)
