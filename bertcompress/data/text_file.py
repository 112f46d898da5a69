"""Reads a text file whole, and says what the file is when it is not UTF-8 text."""

from __future__ import annotations

import re
from pathlib import Path

from bertcompress.errors import DataError

_SIGNATURES = (
    (b"PK\x03\x04", "an Excel workbook or a ZIP archive", "export it as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it with gunzip"),
    (b"PAR1", "a Parquet file", "rename it to end in .parquet"),
    (b"\xff\xfe", "UTF-16 text", "convert it with: iconv -f utf-16 -t utf-8"),
    (b"\xfe\xff", "UTF-16 text", "convert it with: iconv -f utf-16 -t utf-8"),
)


_BYTE_ORDER_MARKS = re.compile("^\ufeff+", re.MULTILINE)
"""At the beginning of any line: files that were joined have more than one."""


def read_text(path: Path) -> str:
    """Returns the file's text, without byte order marks and with its own line ends.

    Raises:
        DataError: The file is missing, empty, binary or not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} can't be read: {error.strerror or error}; type the path of a file you can open"
        ) from error
    if not content.strip():
        raise DataError(
            f"{path} is empty ({len(content)} bytes); type the path of a file that holds examples"
        )
    for signature, what, remedy in _SIGNATURES:
        if content.startswith(signature):
            raise DataError(f"{path} is {what}, not UTF-8 text; {remedy}")
    if b"\0" in content:
        raise DataError(
            f"{path} is binary (it holds a zero byte at {content.index(0)}), not text; "
            "type the path of a CSV, TSV, JSONL, JSON, CoNLL or Parquet file"
        )
    try:
        text = _BYTE_ORDER_MARKS.sub("", content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not UTF-8: byte 0x{content[error.start]:02x} in line {line}; convert it "
            "from the encoding that it was written in: iconv -f ENCODING -t utf-8 (iconv -l lists "
            "them)"
        ) from error
    if not text.strip():
        raise DataError(
            f"{path} holds only a byte order mark; type the path of a file that holds examples"
        )
    return text


def lines_of(text: str) -> list[str]:
    r"""Returns the lines, split at ``\n`` and ``\r\n`` only.

    ``str.splitlines`` also splits at characters that occur inside of texts (U+2028, U+0085).
    """
    return [line.removesuffix("\r") for line in text.split("\n")]
