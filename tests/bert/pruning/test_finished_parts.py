"""Parts of a long run: read back if they are of the same run and whole, else made again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bertcompress.bert.pruning.finished_parts import FinishedParts
from bertcompress.errors import PassError

TENSORS = {"errors": torch.arange(3.0), "order": torch.tensor([2, 0, 1])}


def test_a_part_comes_back_in_another_process(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "when needed"
    FinishedParts(str(folder), lambda: "run 1").write("heads-00", TENSORS)

    read = FinishedParts(str(folder), lambda: "run 1").read("heads-00")

    assert read is not None
    assert read.keys() == TENSORS.keys()
    assert all(read[name].equal(tensor) for name, tensor in TENSORS.items())
    assert [file.name for file in folder.iterdir()] == ["heads-00.safetensors"]


def test_a_part_of_another_run_and_a_damaged_one_are_passed_over(tmp_path: Path) -> None:
    parts = FinishedParts(str(tmp_path), lambda: "run 1")
    parts.write("heads-00", TENSORS)
    (tmp_path / "heads-01.safetensors").write_bytes(b"half")

    assert FinishedParts(str(tmp_path), lambda: "run 2").read("heads-00") is None
    assert parts.read("heads-01") is None
    assert parts.read("heads-02") is None  # never made


def test_without_a_folder_nothing_is_kept_and_no_fingerprint_is_asked_for() -> None:
    def asked() -> str:
        raise AssertionError

    parts = FinishedParts(None, asked)
    parts.write("heads-00", TENSORS)

    assert parts.read("heads-00") is None


def test_the_fingerprint_is_asked_for_once(tmp_path: Path) -> None:
    asked: list[str] = []

    def fingerprint() -> str:
        asked.append("again")
        return "run 1"

    parts = FinishedParts(str(tmp_path), fingerprint)
    for name in ("heads-00", "ffn-00"):
        parts.write(name, TENSORS)
        assert parts.read(name) is not None

    assert asked == ["again"]


def test_what_can_not_be_written_leaves_what_is_there(tmp_path: Path) -> None:
    parts = FinishedParts(str(tmp_path), lambda: "run 1")
    parts.write("heads-00", TENSORS)
    (tmp_path / "ffn-00.safetensors").mkdir()

    with pytest.raises(PassError, match=r"could not keep .*; what was kept before is still there"):
        parts.write("ffn-00", TENSORS)

    assert parts.read("heads-00") is not None
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["ffn-00.safetensors", "heads-00.safetensors"]  # and no half of a file
