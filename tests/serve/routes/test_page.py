"""The page for people: what is sent, and that nothing in it comes from or goes elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bertcompress.serve.keys import add_key
from bertcompress.serve.routes.page import FILES
from tests.fixtures.serving import INLINE, Serve


@pytest.mark.parametrize("path", FILES)
def test_each_file_is_there_without_a_key(served: Serve, tmp_path: Path, path: str) -> None:
    from dataclasses import replace

    add_key(tmp_path / "keys.json", "a")
    with served(settings=replace(INLINE, keys=tmp_path / "keys.json")) as opened:
        reply = opened.client.get(path)
        assert opened.client.get("/models").status_code == 401
    assert (reply.status_code, reply.headers["content-type"].split(";")[0]) == (200, FILES[path][1])
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert not re.findall(r"https?://", reply.text)


def test_texts_are_never_read_as_html(served: Serve) -> None:
    with served() as opened:
        script, page = (opened.client.get(path).text for path in ("/page.js", "/"))
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval", script)
    assert not re.findall(r"<script>|\son\w+=|style=", page)
    assert set(re.findall(r'at\("([\w-]+)"\)', script)) <= set(re.findall(r'id="([\w-]+)"', page))
