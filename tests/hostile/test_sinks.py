"""Foreign strings at each thing that would read them as commands: they stay text."""

from __future__ import annotations

import html.parser
import json
import re
import unicodedata
from pathlib import Path

import pytest

from bertcompress.gates.ci import annotations_of, gates_table, junit_of
from bertcompress.gates.gate import GateResult
from bertcompress.report.markdown import pipe_table, table_lines
from bertcompress.sinks import (
    fenced,
    for_annotation,
    for_json,
    for_markdown,
    for_output_file,
    for_terminal,
)
from bertcompress_cli.app import run_told
from bertcompress_cli.github import publish
from bertcompress_cli.output import json_line, note, result, table

_CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
_DIRECTIONS = [*"\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]
_OTHERS = [*"\u2028\u2029\ufeff\u00ad\u2060", "\ud83d", "\U000e0041"]
_SIGNS = [*_CONTROLS, *_DIRECTIONS, *_OTHERS]
_COMMANDS = [
    *("\x1b[2J", "\x1b]0;title\x07", "\x1b]8;;http://evil\x1b\\", "\x9b31m", "a\r\nb"),
    *("\n::error::no", "::error file=a::no", "  ::set-output name=ok::true", "##[error]no"),
    *("::stop-commands::x", "\n::add-mask::x", "ok=true\nverdict=Ship", "verdict<<end\nx\nend"),
    *("a|b", "a\\|b", "|", "\\", "`a`", "```", "`` ` ``", "\n```\n# no", "a\n\n# b"),
    *(
        "[a](http://evil)",
        "![a](http://evil)",
        "[a]: http://evil",
        "[a][b]",
        "\\[a](http://evil)",
    ),
    *(
        "<http://evil>",
        "<b>",
        "<img src=x onerror=alert(1)>",
        "</td>",
        "<!-- a",
        "<?a",
        "&lt;b&gt;",
    ),
    *("http://evil", "HTTPS://evil", "www.evil.example", "mailto:a@evil", "&#60;b>", "\n---\n"),
    *("[red]no[/red]", "[link=http://evil]no[/link]", "{{ 7 }}", "$(id)", "%0A::error::no", "%25"),
]
HOSTILE = [
    *_COMMANDS,
    *_SIGNS,
    *(f"good{sign}bad" for sign in _SIGNS),
    *(f"{sign}{_COMMANDS[at % len(_COMMANDS)]}" for at, sign in enumerate(_SIGNS[:61])),
]


def is_quiet(text: str, *, keep: str = "") -> bool:
    joiners = "\u200c\u200d"
    return all(
        sign in keep
        or sign in joiners
        or (
            unicodedata.category(sign)[0] not in "C"
            and unicodedata.category(sign) not in ("Zl", "Zp")
        )
        for sign in text
    )


def cells_of(line: str) -> int:
    """Counts the cells of a row as GitHub does: a pipe that is escaped is text."""
    return len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) - 1


class Tags(html.parser.HTMLParser):
    """Collects what a browser would take for tags, comments and declarations."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)

    def handle_comment(self, data: str) -> None:
        self.found.append(data)


def active(markdown: str) -> list[str]:
    """Returns what Markdown would make of a line, once what is escaped is taken out."""
    plain = re.sub(r"\\[!-/:-@\[-`{-~]", "", markdown)
    return [*re.findall(r"[`\[]|https?://|www\.", plain, re.IGNORECASE), *Tags(plain).found]


def test_there_are_many() -> None:
    assert len(set(HOSTILE)) >= 271


@pytest.mark.parametrize("text", HOSTILE)
def test_a_string_is_text_in_every_sink(text: str) -> None:
    shown = for_terminal(text)
    assert is_quiet(shown)
    assert not shown.lstrip().startswith("::")
    assert "##[" not in shown

    line = for_markdown(text)
    assert is_quiet(line)
    assert active(line) == []
    assert all(cells_of(row) == 2 for row in pipe_table(["a", "b"], [[text, text]]))
    assert cells_of(pipe_table(["a"], [["x" * 5 + text]], most_characters=6)[2]) == 1
    assert [row.startswith(fenced([text])[0]) for row in fenced([text])] == [True, False, True]

    assert is_quiet(for_annotation(text))
    escaped = for_json(json.dumps({"a": text}, ensure_ascii=False))
    assert is_quiet(escaped)
    assert json.loads(escaped) == {"a": text}
    first, *inside = for_output_file("name", text).split("\n")
    assert first == f"name={text}" or inside[-2] == first.removeprefix("name<<")


def test_the_terminal_gets_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    for text in HOSTILE:
        note(text)
        result(text.replace("\n", ""), {}, as_json=False)
        json_line({"a": text})
        table([text, "b"], [[text, text]], title=text)
        run_told(lambda text=text: (_ for _ in ()).throw(OSError(1, "no", text)))
    said = capsys.readouterr()

    for stream in (said.out, said.err):
        assert is_quiet(stream, keep="\n")
        lines = stream.split("\n")
        assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line]


def test_actions_get_one_annotation_and_one_key_each(
    actions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in HOSTILE:
        text = text.encode(errors="replace").decode()
        gate = GateResult(text, "drop", "failed", text)
        publish("\n".join(table_lines(gates_table([gate]))), [gate], {"verdict": text})
        said = capsys.readouterr().err
        assert said.startswith("::error title=bertcompress gate drop::")
        assert said.count("\n") == 1
        assert annotations_of([gate]) == [said[:-1]]
        assert is_quiet(junit_of([gate]), keep="\n")
    summary = (actions / "GITHUB_STEP_SUMMARY").read_text(encoding="utf-8")
    assert {cells_of(line) for line in summary.split("\n") if line} == {3}
    keys = outputs_of((actions / "GITHUB_OUTPUT").read_bytes().decode())
    assert set(keys) == {"ok", "passed", "failed", "abstained", "verdict"}
    assert keys.count("verdict") == len(HOSTILE)


def outputs_of(text: str) -> list[str]:
    """Returns the keys that Actions reads: ``name=value``, or lines up to a border."""
    keys, border = [], None
    for line in text.split("\n"):
        if border is not None:
            border = None if line == border else border
        elif "=" in line and line.find("=") < (line.find("<<") if "<<" in line else len(line)):
            keys.append(line.partition("=")[0])
        elif "<<" in line:
            key, _, border = line.partition("<<")
            keys.append(key)
    return keys
