"""A tokenizer.json comes out as it came, unless the tokenizer is another by then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer

from bertcompress.artifacts.artifact import save
from bertcompress.artifacts.tokenizer_files import write_tokenizer
from bertcompress.quiet import quiet_transformers
from fixtures.loading import checkpoint


def test_the_file_comes_out_byte_for_byte(tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder(), tmp_path / "model")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["truncation"] = {
        **{"direction": "Right", "max_length": 5},
        **{"strategy": "LongestFirst", "stride": 0},
    }
    as_it_came = json.dumps(content, indent=3).replace("\n", "\r\n").encode()
    (folder / "tokenizer.json").write_bytes(as_it_came)
    artifact = checkpoint(folder)
    artifact.tokenizer(["a film"] * 2, padding=True, truncation=True, max_length=9)

    assert (save(artifact, tmp_path / "out") / "tokenizer.json").read_bytes() == as_it_came


def test_a_tokenizer_that_was_changed_is_written_as_it_is(
    tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    tokenizer = checkpoint(tiny_folder()).tokenizer
    tokenizer.add_tokens(["<film>"])

    write_tokenizer(tokenizer, tmp_path)

    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).token_to_id("<film>") is not None


def test_transformers_reads_what_was_followed(
    tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_folder(), tmp_path / "model")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(content))

    saved = save(checkpoint(folder), tmp_path / "out")

    with quiet_transformers():
        again = AutoTokenizer.from_pretrained(str(saved))
    right = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("The Film").ids
    assert again("The Film")["input_ids"] == right
