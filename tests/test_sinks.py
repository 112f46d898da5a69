"""Foreign text on its way out; `tests/hostile/test_sinks.py` tries all that is hostile."""

from __future__ import annotations

import json

from bertcompress.sinks import (
    fenced,
    for_annotation,
    for_json,
    for_markdown,
    for_output_file,
    for_terminal,
)


def test_usual_text_stays_as_it_is() -> None:
    for text in ("std::vector", "größer – 漢字 👩‍👧", "50 % of a/b_c (*)", "می‌خواهم"):
        assert for_terminal(text) == for_markdown(text) == for_json(text) == text
        assert for_annotation(text) == text.replace("%", "%25")


def test_a_terminal_sees_what_would_move_it() -> None:
    assert for_terminal("a\x1b[2Jb\u202ec") == "a\\x1b[2Jb\\u202ec"
    assert for_terminal("a\nb", keep="\n") == "a\nb"
    assert for_terminal("::error::no") == "\\x3a:error::no"


def test_json_reads_back_the_same() -> None:
    text = '["\u202e\x9b\U000e0041 ##["]'
    assert for_json(text) == '["\\u202e\\u009b\\udb40\\udc41 \\u0023#["]'
    assert json.loads(for_json(text)) == json.loads(text)


def test_markdown_shows_what_it_would_obey() -> None:
    assert for_markdown("p < 0.05 & a|b\\") == "p < 0.05 & a\\|b\\\\"
    assert for_markdown("![a](https://b)\n`c` <d>") == "!\\[a](https\\://b) \\`c\\` \\<d>"
    assert fenced(["a", "```"]) == ["````", "a", "```", "````"]


def test_outputs_and_annotations_are_one_each() -> None:
    assert for_annotation("50%\n::error::") == "50%25%0A::error::"
    assert for_output_file("ok", "true") == "ok=true\n"
    assert for_output_file("ok", "a\nb").startswith("ok<<end-")
