"""A token without a row is named at load, in every verb; so is a pair without a segment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.bert.loading.frontend import load_frontend
from bertcompress.bert.loading.load import load
from bertcompress.errors import DataError
from bertcompress.examples import TextExample
from bertcompress.tasks.encoding import encode_texts
from bertcompress.tasks.text_classification import TextClassification
from fixtures.loading import checkpoint, refusal


def add_token(folder: Path, token: str, number: int) -> None:
    """Gives a tokenizer.json one more token."""
    path = folder / "tokenizer.json"
    core = json.loads(path.read_text())
    core["added_tokens"].append({**core["added_tokens"][0], "id": number, "content": token})
    path.write_text(json.dumps(core))


def test_a_token_beyond_the_table_is_refused_with_both_numbers(
    copy_of: Callable[..., Path],
) -> None:
    folder = copy_of()
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    add_token(folder, "<film>", rows)

    for read in (lambda: load(folder), lambda: load_frontend(folder, "model")):
        assert f"'<film>' the number {rows}, and the model's table of tokens has {rows} rows" in (
            refusal(read)
        )


def test_a_graphs_tokenizer_is_checked_without_transformers(
    tiny_graph: Callable[..., OnnxModel], tmp_path: Path
) -> None:
    folder = save(tiny_graph(), tmp_path / "graph")
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    add_token(folder, "<film>", rows)

    assert f"'<film>' the number {rows}" in refusal(
        lambda: load_frontend(folder, "model", unread=("*",))
    )


def test_padding_beyond_the_table_is_refused(copy_of: Callable[..., Path]) -> None:
    assert "says that token 5000 is padding (pad_token_id)" in refusal(
        lambda: load(copy_of(pad_token_id=5000))
    )


def test_pairs_are_refused_where_there_is_one_segment(
    copy_of: Callable[..., Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy_of(type_vocab_size=1)
    weights = load_file(folder / "model.safetensors")
    name = "bert.embeddings.token_type_embeddings.weight"
    weights[name] = weights[name][:1].clone()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    artifact = checkpoint(folder)
    again = checkpoint(save(artifact, tmp_path / "saved"))

    for tokenizer in (artifact.tokenizer, again.tokenizer):
        assert len(encode_texts(tokenizer, ["a film"], max_length=16)) == 1
        with pytest.raises(DataError, match=r"numbers the second text of a pair 1, .* has 1 row"):
            TextClassification(("no", "yes")).encode(
                tokenizer, [TextExample("1", "a film", "good")], max_length=16
            )
