"""The documents: their tables say what the reports say, their links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress_cli.app import app

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (ROOT, ROOT / "docs", ROOT / "docs" / "adr", ROOT / "benchmarks")
    for path in folder.glob("*.md")
)
_LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


@pytest.mark.slow
def test_the_tables_are_those_of_the_reports() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/tables.py", "--check"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file(document: str) -> None:
    path = ROOT / document
    broken = [
        link
        for link in _LINK.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / link).exists()
    ]

    assert not broken


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    verbs = [str(command.name) for command in app.registered_commands]

    assert [verb for verb in verbs if f"`{verb}`" not in text] == []


def test_the_readme_s_file_map_names_what_is_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("## Where things are")[1].split("```")[1]
    lines = [re.match(r"( *)(\S.*?)(?:   |$)", line) for line in block.splitlines() if line.strip()]
    named: list[str] = []
    for found in lines:
        assert found is not None
        inside = "bertcompress/" if found[1] else ""
        named += [f"{inside}{name.strip(',')}" for name in found[2].split()]

    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.slow
def test_the_four_commands_of_the_readme_are_run_as_they_stand(
    ok: Callable[..., str],
    here: Path,
    tiny_folder: Callable[..., Path],
    write_csv: Callable[..., Path],
) -> None:
    """With a tiny model and few rows where the README's are."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = text.split("Then four commands:")[1].split("```")[1].strip().splitlines()
    corpus = here / "bertcompress" / "data" / "demo_corpus"
    corpus.mkdir(parents=True)
    write_csv(corpus / "train.csv", 60)
    write_csv(corpus / "test.csv", 20)
    shutil.copytree(tiny_folder(task="text-classification"), here / "demo")

    said = [ok(*shlex.split(line)[1:]) for line in commands]

    assert said[:3] == ["requests", "small", "report/report.html"]
    assert json.loads(said[3])["label"] in ("negative", "positive")
