"""A hundred folders as users have them: whatever is asked, none of their files is lost."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.command import Run

NAMES = (
    *("out", ".out.state", ".state", ".peers", ".steps", "report", "report.md", "report.json"),
    *("compare.md", "junit.xml", "notes.txt", "data.csv", "artifacts", "model", ".out.new.12"),
)
OUTS = (".", "out", "out/", "./out", "new", "new/er", "report", "notes.txt", "notes.txt/x", "~/x")


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def scattered(folder: Path, draw: random.Random) -> None:
    """Leaves files and folders of a user's, some of names that this library uses too."""
    for name in draw.sample(NAMES, draw.randint(2, 7)):
        place = folder / name
        if draw.random() < 0.6 and "." not in name[1:]:
            place.mkdir()
            for inner in draw.sample(NAMES[4:], draw.randint(0, 3)):
                (place / inner).write_text(f"{name}/{inner} is mine")
        else:
            place.write_text(f"{name} is mine")


def commands(draw: random.Random, model: Path, graph: Path, data: Path) -> Iterator[list[object]]:
    out = draw.choice(OUTS)
    over = draw.choice([[], ["--overwrite"]])
    yield ["export", model, "-o", out, *over]
    yield ["prune", model, "--heads", "0.5", "--score", "magnitude", "-o", out, *over]
    yield ["quantize", graph, "--bits", "8", "--method", "dynamic", "-o", out, *over]
    yield ["bench", graph, "--data", data, "-o", out, "--quick"]
    yield ["calibrate", model, "--data", data, "-o", f"{out}/table.json"]


def tried(bc: Run, folder: Path, model: Path, graph: Path, data: Path, seed: int) -> int:
    """Returns how many of the commands did their work."""
    done, draw = 0, random.Random(seed)
    scattered(folder, draw)
    before = hashes(folder)
    for words in draw.sample(list(commands(draw, model, graph, data)), 2):
        found = bc(*words)
        done += found.returncode == 0
        after = hashes(folder)
        changed = {name for name, digest in before.items() if after.get(name) != digest}
        assert not changed, (words, changed, found.stderr)
        assert "Traceback" not in found.stderr
        assert "unexpected" not in found.stderr, (words, found.stderr)
    return done


@pytest.fixture
def graph(graph_folder: Callable[..., Path]) -> Path:
    return graph_folder()


def test_a_users_files_stay(
    bc: Run, here: Path, model: Path, graph: Path, data: Path, short_quick: None
) -> None:
    for seed in range(4):
        tried(bc, emptied(here), model, graph, data, seed)


@pytest.mark.slow
def test_a_hundred_users_files_stay(
    bc: Run, here: Path, model: Path, graph: Path, data: Path, short_quick: None
) -> None:
    done = sum(tried(bc, emptied(here), model, graph, data, seed) for seed in range(100, 200))
    assert done > 30


def emptied(folder: Path) -> Path:
    for left in folder.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return folder


def test_a_recipes_output_is_not_the_model(
    bc: Run, here: Path, tiny_folder: Callable[..., Path], data: Path
) -> None:
    mine = here / "mine"
    shutil.copytree(tiny_folder(), mine)
    before = hashes(mine)
    for output in ("mine", "mine/out"):
        (here / "r.yaml").write_text(
            f"model: mine\ndata: {data}\noutput: {output}\nbench: false\n"
            "variants:\n  small: [{prune: {heads: 0.5}}]\n"
        )
        found = bc("run", "r.yaml")
        assert "model's own folder" in found.stderr, found.stderr
        assert hashes(mine) == before


def test_an_empty_current_folder_can_be_the_output(bc: Run, here: Path, graph: Path) -> None:
    found = bc("quantize", graph, "--bits", "8", "--method", "dynamic", "-o", ".")
    assert found.returncode == 0, found.stderr
    assert (here.parent / here.name / "bertcompress.json").is_file()
