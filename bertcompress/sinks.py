r"""Foreign text on its way out: one function for each thing that would read it as a command.

Labels, names, texts, columns and paths come from files that others wrote. On a screen, in Markdown
and in what GitHub Actions reads they stay text: what would move the cursor, turn the reading
direction, end a cell or become a link is shown as an escape. HTML is escaped by its template, JSON
escapes itself; here only what JSON leaves to the terminal.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Sequence

_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Controls, marks of direction, halves of pairs, ends of lines and paragraphs."""
_JOINERS = "\u200c\u200d"
"""Part of Persian words and of emoji."""
_WORKFLOW = re.compile(r"(?<!\S):(?=:)|#(?=#\[)")
"""What GitHub Actions takes for a command in a line of output, wherever that is broken."""
_ACTIVE = re.compile(
    r"[\\`|\[]|<(?=[A-Za-z/!?])|&(?=#|\w)|:(?=//)|(?<=www)\.|(?<=mailto):|(?<=xmpp):", re.IGNORECASE
)
"""What Markdown makes code, cells, links and HTML of."""


def for_terminal(text: str, *, keep: str = "") -> str:
    r"""Returns text of one line for a screen: nothing in it is a command to a terminal or to CI.

    Args:
        text: Whatever it holds.
        keep: Characters that stay: line ends that are our own.

    >>> for_terminal("red \x1b[31m and\nbelow")
    'red \\x1b[31m and\\nbelow'
    """
    shown = text if text.isprintable() else "".join(_seen(sign, keep) for sign in text)
    return _WORKFLOW.sub(lambda found: _escape(found[0]), shown)


def for_json(text: str) -> str:
    """Returns JSON, what a terminal would obey escaped as JSON does: it reads back the same."""
    if not text.isprintable():
        text = "".join(sign if _is_seen(sign, "\n") else _json_escape(sign) for sign in text)
    return text.replace("##[", "\\u0023#[")  # GitHub Actions would take it for a command


def for_markdown(text: str) -> str:
    r"""Returns text of one line for Markdown: no cell ends in it, no link, code or HTML begins.

    >>> for_markdown("a | [b](http://c) <img>")
    'a \\| \\[b](http\\://c) \\<img>'
    """
    line = " ".join(text.split())
    return _ACTIVE.sub(lambda found: "\\" + found[0], for_terminal(line))


def fenced(lines: Sequence[str]) -> list[str]:
    """Returns lines as a block of code in Markdown, whose fence no line of them can close."""
    shown = [for_terminal(line) for line in lines]
    runs = [len(run) for line in shown for run in re.findall("`+", line)]
    fence = "`" * max(3, max(runs, default=0) + 1)
    return [fence, *shown, fence]


def for_annotation(text: str) -> str:
    """Returns the message of a workflow command of GitHub Actions: one line of one command."""
    return _percent(text)


def for_output_file(name: str, value: str) -> str:
    """Returns what ``GITHUB_OUTPUT`` reads as this one output.

    That is a line, or several with a border that the value can't hold.
    """
    if not any(mark in value for mark in "\n\r\0"):
        return f"{name}={value}\n"
    border = f"end-{secrets.token_hex(8)}"
    return f"{name}<<{border}\n{value}\n{border}\n"


def _percent(text: str) -> str:
    marks = {"%": "%25", "\r": "%0D", "\n": "%0A"}
    return "".join(marks.get(sign) or _seen(sign, "") for sign in text)


def _is_seen(sign: str, keep: str) -> bool:
    if sign in keep or sign in _JOINERS:
        return True
    return unicodedata.category(sign) not in _UNSEEN


def _seen(sign: str, keep: str) -> str:
    return sign if _is_seen(sign, keep) else _escape(sign)


def _escape(sign: str) -> str:
    if sign in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[sign]
    code = ord(sign)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
