"""Runs command lines in this process, in a folder of their own, on the tiny model."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

WORDS = ("good", "bad", "film", "the", "a", "is", "not", "berlin", "anna")

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def bc(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Gives ``bc("prune", "--heads", "0.3")``: runs it and returns exit code and output."""
    from bertcompress_cli.app import run_command

    def run(*arguments: object) -> CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["bertcompress", *words])
        capsys.readouterr()
        code = run_command(words)
        said = capsys.readouterr()
        return CompletedProcess(words, code, said.out, said.err)

    return run


@pytest.fixture
def ok(bc: Run) -> Callable[..., str]:
    """Gives ``ok("prune", …)``: the command must succeed; returns what it printed as result."""

    def run(*arguments: object) -> str:
        outcome = bc(*arguments)
        assert outcome.returncode == 0, outcome.stderr
        return outcome.stdout.strip()

    return run


@pytest.fixture
def fails(bc: Run) -> Callable[..., str]:
    """Gives ``fails(2, "prune", …)``: that exit code, no result; returns the one sentence."""

    def run(code: int, *arguments: object) -> str:
        outcome = bc(*arguments)
        assert outcome.returncode == code, outcome.stderr
        assert "Traceback" not in outcome.stderr
        [line] = [one for one in outcome.stderr.splitlines() if one.startswith("error: ")]
        return line.removeprefix("error: ")

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes an empty folder the current one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def write_csv() -> Callable[..., Path]:
    """Gives ``write_csv(path, 12, labels=…)``: different sentences with labels in turn."""

    def write(
        path: Path, count: int, *, labels: tuple[str, ...] = ("negative", "positive")
    ) -> Path:
        draw = random.Random(path.name)
        rows = [
            f"{' '.join(draw.choices(WORDS, k=draw.randint(3, 8)))} {path.stem}{at},"
            f"{labels[at % len(labels)]}"
            for at in range(count)
        ]
        path.write_text("\n".join(["text,label", *rows, ""]), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def data(write_csv: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gives a folder with train.csv, validation.csv and test.csv, labelled as the tiny model is."""
    folder = tmp_path_factory.mktemp("reviews")
    for name, count in {"train": 24, "validation": 10, "test": 12}.items():
        write_csv(folder / f"{name}.csv", count)
    return folder


@pytest.fixture
def model(tiny_folder: Callable[..., Path]) -> Path:
    """Gives the tiny text classifier."""
    return tiny_folder(task="text-classification")


@pytest.fixture
def workspace(ok: Callable[..., str], here: Path, model: Path, data: Path) -> Path:
    """Makes the current folder a workspace of the tiny model."""
    ok("init", "--model", model, "--data", data)
    return here


@pytest.fixture
def quick_recipe(here: Path, model: Path, data: Path) -> Callable[..., Path]:
    """Gives ``quick_recipe("FP32: []")``: a recipe with the variants and the shortest benchmark."""

    def write(*variants: str, more: str = "", bench: str | None = None) -> Path:
        shortest = (
            "{rounds: 1, threads: 1, requests: 6, grid_repeats: 0, offline_sentences: 0, "
            "blocks: 1, warm_minimum_s: 0.01, warm_maximum_s: 0.02, roofs: false, tune: false, "
            "precision_map: false}"
        )
        lines = [f"model: {model}", f"data: {data}", more, "variants:"]
        lines += [f"  {variant}" for variant in variants]
        lines.append(f"bench: {bench or shortest}")
        path = here / "quick.yaml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


@pytest.fixture
def short_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes ``--quick`` quicker still."""
    from bertcompress.bench import settings

    shortest = settings.BenchSettings(
        rounds=1,
        requests=6,
        grid_repeats=0,
        offline_sentences=0,
        blocks=1,
        warm_minimum_s=0.01,
        warm_maximum_s=0.02,
        roofs=False,
        tune=False,
        precision_map=False,
    )
    monkeypatch.setattr(settings, "QUICK", shortest)
