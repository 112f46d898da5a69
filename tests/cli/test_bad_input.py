"""What bad input gets: one sentence, the right exit code, nothing half-written."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bertcompress.errors import UnexpectedPassError

Ok = Callable[..., str]


def nothing_left(folder: Path) -> bool:
    return not folder.exists() or not any(folder.iterdir())


def test_another_label_set_lists_both_sides(
    fails: Ok, workspace: Path, write_csv: Callable[..., Path]
) -> None:
    other = write_csv(workspace / "stars.csv", 30, labels=("one", "two", "three"))

    sentence = fails(1, "evaluate", "--data", other)

    assert "one, three, two" in sentence
    assert "negative, positive" in sentence
    assert nothing_left(workspace / "artifacts")


@pytest.mark.parametrize("verb", [("prune", "--heads", "0.3"), ("quantize",), ("evaluate",)])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("header.csv", b"text,label\n"),
        ("one_column.csv", b"film\nberlin\nanna\n"),
        ("junk.csv", bytes(range(256)) * 8),
        ("junk.parquet", bytes(range(256)) * 8),
    ],
)
def test_a_bad_data_file_is_named(
    fails: Ok, workspace: Path, verb: tuple[str, ...], name: str, content: bytes
) -> None:
    (workspace / name).write_bytes(content)

    assert name in fails(1, *verb, "--data", name)
    assert nothing_left(workspace / "artifacts")


def test_data_that_is_not_there_is_named(fails: Ok, workspace: Path) -> None:
    assert "nowhere.csv" in fails(1, "prune", "--heads", "0.3", "--data", "nowhere.csv")


def test_a_model_that_is_no_bert_is_refused(fails: Ok, here: Path, model: Path) -> None:
    shutil.copytree(model, here / "other")
    config = here / "other/config.json"
    config.write_text(config.read_text().replace('"bert"', '"gpt2"').replace("Bert", "GPT2"))

    sentence = fails(1, "prune", "other", "--heads", "0.3", "-o", "out")

    assert "gpt2" in sentence.lower()
    assert not (here / "out").exists()


def test_a_truncated_weight_file_is_named(fails: Ok, here: Path, model: Path) -> None:
    shutil.copytree(model, here / "cut")
    weights = here / "cut/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])

    for verb in (("prune", "cut", "--heads", "0.3"), ("export", "cut"), ("quantize", "cut")):
        assert "cut" in fails(1, *verb, *_data_of(verb), "-o", "out")
        assert not (here / "out").exists()


def _data_of(verb: tuple[str, ...]) -> tuple[str, ...]:
    return ("--method", "dynamic") if verb[0] == "quantize" else ()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("prune", "--heads", "30"), "did you mean 0.30?"),
        (("prune", "--heads", "1.0"), "heads must be in [0, 1), got 1"),
        (("prune", "--ffn", "-0.1"), "ffn"),
        (("prune", "--layers", "2"), "layers"),
        (("prune",), "--heads 0.3"),
        (("prune", "--heads", "0.3", "--score", "fischer"), "did you mean 'fisher'?"),
        (("quantize", "--bits", "7"), "bits must be 8 or 4, got 7"),
        (("quantize", "--method", "statik"), "static or dynamic"),
        (("quantize", "--bits", "4", "--block-size", "33"), "block_size must be one of"),
        (("quantize", "--bits", "4", "--rounding", "gtpq"), "did you mean 'gptq'?"),
        (("quantize", "--rounding", "hqq"), "type --bits 4 or leave them out"),
        (("quantize", "--target-size", "12 parsecs"), "--target-size takes a quantity"),
        (("quantize", "--target-size", "9MB", "--block-size", "32"), "leave block_size out"),
        (("quantize", "--target-size", "9MB", "--method", "static"), "for weights only"),
        (("quantize", "--ranges", "percentil"), "did you mean 'percentile'?"),
        (("quantize", "--keep-float", "no.such.module"), "no.such.module"),
        (("export", "--opset", "3"), "opset must be"),
        (("evaluate", "--runtime", "ort-gpu"), "there is no runtime 'ort-gpu'"),
        (("evaluate", "--label-map", "0"), "--label-map takes OLD=NEW"),
        (("bench", "--rounds", "0"), "rounds must be at least 1"),
    ],
)
def test_a_setting_that_cant_be_meant(
    fails: Ok, workspace: Path, typed: tuple[str, ...], said: str
) -> None:
    assert said in fails(2, *typed)
    assert nothing_left(workspace / "artifacts")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("prun", "--heads", "0.3"), "'prune'"),
        (("prune", "--haeds", "0.3"), "did you mean '--heads'?"),
        (("prune", "--layers", "two"), "--layers"),
        (("gate",), "gate needs a bound"),
    ],
)
def test_a_misspelt_command_line(fails: Ok, here: Path, typed: tuple[str, ...], said: str) -> None:
    assert said in fails(2, *typed)


def test_a_graph_is_not_exported_again(ok: Ok, fails: Ok, here: Path, model: Path) -> None:
    ok("export", model, "-o", "graph")

    assert "graph" in fails(2, "export", "graph", "-o", "again")
    assert not (here / "again").exists()


def test_running_before_the_export_says_to_export(fails: Ok, workspace: Path) -> None:
    sentence = fails(1, "evaluate", "--runtime", "ort-cpu")

    assert "bertcompress export" in sentence


def test_an_output_that_is_somebody_elses_is_kept(fails: Ok, here: Path, model: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine/letter.txt").write_text("dear")

    fails(2, "prune", model, "--heads", "0.3", "-o", "mine")
    fails(2, "prune", model, "--heads", "0.3", "-o", "mine", "--overwrite")

    assert (here / "mine/letter.txt").read_text() == "dear"


def test_an_artifact_is_replaced_only_when_that_is_asked(
    ok: Ok, fails: Ok, here: Path, model: Path
) -> None:
    ok("prune", model, "--heads", "0.3", "-o", "small")

    assert "--overwrite" in fails(2, "prune", model, "--heads", "0.5", "-o", "small")
    ok("prune", model, "--heads", "0.5", "-o", "small", "--overwrite")


def test_a_missing_extra_is_exit_code_5(
    fails: Ok, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    sentence = fails(5, "quantize", "--bits", "8")

    assert 'pip install "bertcompress[cpu]"' in sentence
    assert nothing_left(workspace / "artifacts")


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb", [("prune", "--heads", "0.3"), ("export",), ("quantize", "--method", "dynamic")]
)
def test_a_full_disk_leaves_nothing_half_written(
    ok: Ok,
    fails: Ok,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: tuple[str, ...],
) -> None:
    with monkeypatch.context() as full:
        full.setattr(Path, "write_text", _no_space)
        sentence = fails(1, *verb)

    assert "No space left on device" in sentence
    assert nothing_left(workspace / "artifacts")
    assert ok(*verb).startswith("artifacts/001-")


def test_a_full_disk_elsewhere_is_one_sentence(
    fails: Ok, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertcompress.passes.prune.prune import Prune

    monkeypatch.setattr(Prune, "__call__", _no_space)

    assert "the disk is full" in fails(1, "prune", "--heads", "0.3")


def test_what_nobody_foresaw_is_one_sentence_too(
    fails: Ok, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertcompress.passes.prune.prune import Prune

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(Prune, "__call__", broken)

    assert fails(1, "prune", "--heads", "0.3") == (
        "Prune (step 1 of 1) failed unexpectedly: ZeroDivisionError: by zero; please report it "
        "with its traceback; set BERTCOMPRESS_DEBUG=1 and run it again to see where"
    )
    monkeypatch.setenv("BERTCOMPRESS_DEBUG", "1")
    with pytest.raises(UnexpectedPassError) as found:
        fails(1, "prune", "--heads", "0.3")
    assert isinstance(found.value.__cause__, ZeroDivisionError)


def test_what_nobody_foresaw_outside_of_passes_is_one_sentence_too(
    fails: Ok, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertcompress.pipeline import Pipeline

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(Pipeline, "run", broken)

    assert "unexpected ZeroDivisionError: by zero" in fails(1, "prune", "--heads", "0.3")
    monkeypatch.setenv("BERTCOMPRESS_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        fails(1, "prune", "--heads", "0.3")


def test_what_nobody_foresaw_in_a_late_step_keeps_the_steps_before(
    ok: Ok, fails: Ok, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertcompress.passes.export.export_onnx import ExportOnnx
    from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    line = ("quantize", "--method", "dynamic")
    with monkeypatch.context() as fault:
        fault.setattr(QuantizeDynamic, "__call__", broken)
        assert "QuantizeDynamic (step 2 of 2, after ExportOnnx)" in fails(1, *line)
    monkeypatch.setattr(ExportOnnx, "__call__", broken)  # which is finished

    assert ok(*line) == "artifacts/001-quantize"


def test_a_reader_that_has_gone_is_no_failure_of_a_pass(
    bc: Callable[..., CompletedProcess[str]], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertcompress.passes.prune.prune import Prune

    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(Prune, "__call__", gone)

    outcome = bc("prune", "--heads", "0.3")
    assert (outcome.returncode, "error" in outcome.stderr) == (1, False)


def _no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "model.safetensors")
