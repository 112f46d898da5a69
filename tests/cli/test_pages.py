"""Pages about what verbs share."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import fields

from bertcompress_cli.options import DataOptions, data_examples

Ok = Callable[..., str]


def test_the_page_on_data_has_an_example_of_each_option(ok: Ok, fails: Ok) -> None:
    page = ok("help", "data")

    assert len(data_examples()) == len(fields(DataOptions))
    assert all(example in page for example, _ in data_examples())
    assert len(json.loads(ok("help", "data", "--json"))["options"]) == len(data_examples())
    assert "did you mean 'data'" in fails(2, "help", "dat")
    assert "type: bertcompress help data" in fails(2, "help")


def test_each_example_is_an_option_of_the_verbs(ok: Ok) -> None:
    shown = ok("evaluate", "--help")

    assert "─ Data " in shown
    for example, _ in data_examples():
        assert shlex.split(example)[0] in shown
