"""Folders as others write them answer as Transformers' plain model, from the file's own tokens.

The judges are ``tokenizers.Tokenizer.from_file`` for the tokens and Transformers for the logits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.bert.families import Family
from bertcompress.bert.loading.load import load
from bertcompress.errors import LoadError
from bertcompress.examples import TextExample
from bertcompress.quiet import quiet_transformers
from bertcompress.tasks import make_task
from fixtures.model_folders import REFUSED, FolderCase, FolderMaker, cases, plain_model

TEXTS = ("The good film", "Caf\u00e9, berlin: \u4e2d\u6587 is bad.", "[CLS] the <s> film", "a")
_ALL = list(cases())
_EVERY = 17
"""One of so many folders is tried in every run, the others in the long one."""


def _parameters() -> list[Any]:
    return [
        pytest.param(case, id=str(case), marks=[] if at % _EVERY == 0 else [pytest.mark.slow])
        for at, case in enumerate(_ALL)
    ]


@pytest.fixture(scope="module")
def maker(
    tiny_family_folder: Callable[[Family, str], Path], tmp_path_factory: pytest.TempPathFactory
) -> FolderMaker:
    place = tmp_path_factory.mktemp("weights")
    return FolderMaker(lambda family: tiny_family_folder(family, "text-classification"), place)


@pytest.fixture(scope="module")
def judge(maker: FolderMaker) -> Callable[[Family], Any]:
    """Gives a function that returns Transformers' model of a family's plain folder."""
    models: dict[str, Any] = {}

    def model_of(family: Family) -> Any:
        if family.model_type not in models:
            models[family.model_type] = plain_model(maker.source(family))
        return models[family.model_type]

    return model_of


def test_the_matrix_has_400_folders() -> None:
    assert len(_ALL) >= 400
    assert len({case.family.model_type for case in _ALL}) == 6


@pytest.mark.parametrize("case", _parameters())
def test_a_folder_answers_as_the_plain_one_or_is_refused(
    case: FolderCase, maker: FolderMaker, judge: Callable[[Family], Any], tmp_path: Path
) -> None:
    folder = maker.write(case, tmp_path / "model")
    if case.switch in REFUSED:
        with pytest.raises(LoadError, match=r"is a decoder"):
            load(folder)
        return

    artifact = load(folder)

    assert isinstance(artifact, Checkpoint)
    wanted = _ids(folder)
    task = make_task(artifact.task, artifact.config)
    examples = [TextExample(str(at), text) for at, text in enumerate(TEXTS)]
    features = task.encode(artifact.tokenizer, examples, max_length=128)
    assert [feature.inputs["input_ids"].tolist() for feature in features] == wanted
    for row, feature in zip(wanted, features, strict=True):
        given = artifact.tokenizer.model_input_names
        inputs = {n: torch.tensor(v[None]) for n, v in feature.inputs.items() if n in given}
        with torch.no_grad():
            right = judge(case.family)(input_ids=torch.tensor([row])).logits
            ours = artifact.model(**inputs).logits
        np.testing.assert_allclose(ours.numpy(), right.numpy(), atol=1e-5)


@pytest.mark.parametrize("prefix", ["with", "without"])
def test_an_encoder_is_found_with_and_without_its_prefix(
    prefix: str, family: Family, maker: FolderMaker, tmp_path: Path
) -> None:
    folder = maker.write(FolderCase(family, "safetensors", "of-its-class", "plain"), tmp_path / "m")
    with quiet_transformers():
        judge: Any = AutoModel.from_pretrained(str(folder), dtype=torch.float32).eval()
        if prefix == "without":
            (folder / "model.safetensors").unlink()
            judge.save_pretrained(folder)

    artifact = load(folder, task="feature-extraction")

    assert isinstance(artifact, Checkpoint)
    ids = torch.tensor(_ids(folder)[:1])
    with torch.no_grad():
        ours = artifact.model(input_ids=ids).last_hidden_state
        right = judge(input_ids=ids).last_hidden_state
    np.testing.assert_allclose(ours.numpy(), right.numpy(), atol=1e-5)


@pytest.mark.parametrize("case", _parameters()[:: _EVERY * 3], ids=str)
def test_the_folder_that_comes_out_has_the_tokenizer_that_came(
    case: FolderCase, maker: FolderMaker, tmp_path: Path
) -> None:
    if case.switch in REFUSED:
        pytest.skip("refused")
    folder = maker.write(case, tmp_path / "model")

    saved = save(load(folder), tmp_path / "saved")

    if (folder / "tokenizer.json").is_file():
        as_it_came = (folder / "tokenizer.json").read_bytes()
        assert (saved / "tokenizer.json").read_bytes() == as_it_came
    with quiet_transformers():
        again = AutoTokenizer.from_pretrained(str(saved))
    assert again(list(TEXTS))["input_ids"] == _ids(folder)


def _ids(folder: Path) -> list[list[int]]:
    """Returns what tokenizer.json makes of the texts; without one what Transformers does."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        with quiet_transformers():
            return AutoTokenizer.from_pretrained(str(folder))(list(TEXTS))["input_ids"]
    core = Tokenizer.from_file(str(file))
    core.no_truncation()
    core.no_padding()
    return [core.encode(text).ids for text in TEXTS]
