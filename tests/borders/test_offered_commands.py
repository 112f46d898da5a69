"""What a sentence offers to type is typed here, and leads on: no guess is offered as a remedy."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bertcompress.data import Columns, load_dataset
from bertcompress.errors import DataError
from bertcompress.examples import TextExample, TokenExample

TEXT, TOKEN = "text-classification", "token-classification"
ROWS = [("a film", "x"), ("another", "y")]

Run = Callable[..., CompletedProcess[str]]


def refusal(source: Path, task: str = TEXT, **settings: object) -> str:
    with pytest.raises(DataError) as refused:
        load_dataset(source, task=task, **settings)
    return str(refused.value)


def rows_of(source: Path, **settings: object) -> list[tuple[str, object]]:
    found = load_dataset(source, task=TEXT, **settings)
    return [(row.text, row.label) for row in found if isinstance(row, TextExample)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "text,label\na film,x\nanother,y\n"),
        ("a.jsonl", '[\n{"text": "a film", "label": "x"},\n{"text": "another", "label": "y"}]'),
    ],
)
def test_the_ending_that_is_offered_is_the_right_one(
    tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / name
    path.write_text(content)

    [ending] = re.findall(r"rename it to end in (\.\w+)", refusal(path))

    assert rows_of(path.rename(path.with_suffix(ending))) == ROWS


@pytest.mark.parametrize(
    ("encoding", "command"),
    [("utf-16", "iconv -f utf-16 -t utf-8"), ("gzip", "gunzip")],
)
def test_the_tool_that_is_offered_makes_the_file_readable(
    tmp_path: Path, encoding: str, command: str
) -> None:
    text = "text,label\na film,x\nanother,y\n"
    content = gzip.compress(text.encode()) if encoding == "gzip" else text.encode(encoding)
    (tmp_path / "a.csv").write_bytes(content)

    assert command in refusal(tmp_path / "a.csv")
    done = subprocess.run(shlex.split(command), input=content, capture_output=True, check=True)
    (tmp_path / "b.csv").write_bytes(done.stdout)

    assert rows_of(tmp_path / "b.csv") == ROWS


def test_an_encoding_that_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text,label\nпривет,x\n".encode("cp1251"))

    sentence = refusal(tmp_path / "a.csv")

    assert "iconv -f ENCODING -t utf-8" in sentence
    assert "latin1" not in sentence


@pytest.mark.parametrize(
    ("header", "typed", "option"),
    [("sentence_text,label", "text", "label"), ("text,labels_of_it", "label", "text")],
)
def test_the_option_that_is_offered_takes_a_column_of_the_list(
    tmp_path: Path, header: str, typed: str, option: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\na film,x\nanother,y\n")

    sentence = refusal(path)

    assert f"type --{typed} NAME" in sentence
    [name] = [column for column in header.split(",") if column != option]
    assert name in sentence
    assert rows_of(path, columns=Columns(**{typed: name})) == ROWS


def test_numbers_of_columns_are_taken_where_there_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,a film\ny,another\n")

    assert "--no-header if it has none, and then the column's number" in refusal(path)
    columns = Columns(text="2", label="1")
    assert rows_of(path, header=False, columns=columns) == ROWS


def test_numbers_of_conll_columns_are_taken(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("1\tMira\tB-PER\tO\n2\tsings\tO\tO\n")

    assert "--text N --label N" in refusal(tmp_path / "a.conll", TOKEN)
    found = load_dataset(
        tmp_path / "a.conll", task=TOKEN, columns=Columns(text="2", label="3")
    ).examples
    assert [(row.words, row.tags) for row in found if isinstance(row, TokenExample)] == [
        (("Mira", "sings"), ("B-PER", "O"))
    ]


def test_a_folder_a_split_and_a_name_that_are_offered_are_there(tmp_path: Path) -> None:
    for language in ("de", "en"):
        (tmp_path / language).mkdir()
        (tmp_path / language / "test.csv").write_text("text,label\na film,x\nanother,y\n")

    [folder] = re.findall(r"such as (\S+)$", refusal(tmp_path))
    [split] = re.findall(r"did you mean '(\w+)'", refusal(Path(folder), split="tset"))
    [near] = re.findall(r"did you mean '([\w.]+)'", refusal(Path(folder) / "tets.csv"))

    assert rows_of(Path(folder), split=split) == ROWS
    assert rows_of(Path(folder) / near) == ROWS


def test_an_option_without_effect_is_refused_and_goes_when_left_out(tmp_path: Path) -> None:
    answers = [{"text": "Oster", "answer_start": 0}]
    paragraph = {"context": "Oster", "qas": [{"id": "1", "question": "?", "answers": answers}]}
    (tmp_path / "a.json").write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    for name in ("good", "bad"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        (tmp_path / "classes" / name / "1.txt").write_text(name)

    squad = {"task": "question-answering", "columns": Columns(context="text")}
    with pytest.raises(DataError, match=r"--context was typed, but a\.json is SQuAD data.*leave"):
        load_dataset(tmp_path / "a.json", **squad)
    assert "--label was typed" in refusal(tmp_path / "classes", columns=Columns(label="x"))
    assert len(load_dataset(tmp_path / "a.json", task="question-answering")) == 1
    assert len(load_dataset(tmp_path / "classes", task=TEXT)) == 2


@pytest.mark.parametrize(
    "typed",
    [
        ("evaluate",),
        ("evaluate", "MODEL"),
        ("predict", "MODEL"),
        ("calibrate", "MODEL"),
        ("prune", "MODEL", "--heads", "0.25"),
    ],
)
def test_a_line_that_the_command_offers_works(
    bc: Run, here: Path, model: Path, data: Path, typed: tuple[str, ...]
) -> None:
    known = {"MODEL": str(model), "DATA": str(data), "OUT": str(here / "made")}
    refused = bc(*(known.get(word, word) for word in typed))
    assert refused.returncode == 2

    offered = re.search(
        r"(?:type|first): bertcompress ([^;]+?)(?:, or .*)?$", refused.stderr.strip()
    )
    assert offered is not None, refused.stderr
    line = [known.get(word, word) for word in shlex.split(offered[1])]
    done = bc(*line)
    if "--data" not in line and line[0] in ("evaluate", "calibrate"):  # it then asks for data
        assert "--data DATA" in done.stderr
        done = bc(*line, "--data", data)

    assert done.returncode == 0, done.stderr
