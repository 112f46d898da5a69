"""Progress: on stderr only, one line a stage where nobody looks at a terminal."""

from __future__ import annotations

import sys

import pytest

from bertcompress_cli.progress import progress_on_stderr


def test_a_stage_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_on_stderr() as progress:
        for done in range(4):
            progress("export", done, 3)
        progress("timing, round 1 of 2: FP32", 1, 2)
        progress("timing, round 2 of 2: FP32", 2, 2)
        progress("timing", 2, 2)

    said = capsys.readouterr()
    assert said.err.splitlines() == ["export …", "timing …"]
    assert said.out == ""


def test_a_long_stage_tells_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("bertcompress_cli.progress.time.monotonic", lambda: now[0])
    with progress_on_stderr() as progress:
        for done in range(4):
            progress("INT8, trained · train, epoch 1", done, 4)
            now[0] += 40 if done else 6
        progress("INT8, trained · train, epoch 1", 4, 4)

    assert capsys.readouterr().err.splitlines() == [
        "INT8, trained · train …",
        "INT8, trained · train, epoch 1: 1 of 4, 6 s, about 18 s left",
        "INT8, trained · train, epoch 1: 3 of 4, 86 s, about 29 s left",
        "INT8, trained · train: 126.0 s",
    ]


def test_what_libraries_print_is_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_on_stderr():
        print("loss 0.1")
    print("result")

    said = capsys.readouterr()
    assert said.out == "result\n"
    assert "loss 0.1" in said.err


def test_a_terminal_gets_bars(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)

    with progress_on_stderr() as progress:
        progress("importance", 1, 2)
        progress("importance", 2, 2)

    said = capsys.readouterr()
    assert "importance" in said.err
    assert "2/2" in said.err
