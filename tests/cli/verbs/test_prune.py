"""Pruned as typed: by scores, to a target, in rounds, with and without a workspace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import read_manifest

Ok = Callable[..., str]


def test_outside_a_workspace_the_same_line_says_what_to_type(fails: Ok, here: Path) -> None:
    sentence = fails(2, "prune", "--heads", "0.3")

    assert "bertcompress prune MODEL --heads 0.3" in sentence
    assert "bertcompress init --model MODEL" in sentence
    assert not any(here.iterdir())


@pytest.mark.slow
def test_prune_after_quantize_names_the_checkpoint_to_give(
    ok: Ok, fails: Ok, workspace: Path
) -> None:
    ok("prune", "--heads", "0.3")
    ok("quantize", "--bits", "8", "--method", "dynamic")

    sentence = fails(2, "prune", "--heads", "0.3")

    assert "bertcompress prune artifacts/001-prune --heads 0.3" in sentence
    assert ok("prune", "artifacts/001-prune", "--heads", "0.3") == "artifacts/003-prune"


def test_numbering_goes_on_after_a_failure(ok: Ok, fails: Ok, workspace: Path) -> None:
    ok("prune", "--heads", "0.3")
    fails(2, "prune", "--heads", "30")

    assert ok("prune", "--ffn", "0.3") == "artifacts/002-prune"
    assert sorted(path.name for path in (workspace / "artifacts").iterdir()) == [
        "001-prune",
        "002-prune",
    ]


def test_a_score_or_no_data_ranks_and_cuts_without_a_re_fit(
    ok: Ok, workspace: Path, model: Path, data: Path
) -> None:
    def steps(*arguments: object) -> list[str]:
        ok("prune", model, *arguments, "-o", "small", "--overwrite")
        manifest = read_manifest(Path("small"))
        assert manifest is not None
        return [step.name for step in manifest.history]

    both = ("--heads", "0.3", "--ffn", "0.5", "--multiple", "8")
    assert steps(*both, "--data", data) == ["Prune"]
    assert steps(*both, "--data", data, "--score", "taylor") == ["PruneHeads", "PruneFfn"]
    assert steps(*both, "--data", data, "--scope", "layer") == ["PruneHeads", "PruneFfn"]
    assert steps(*both, "--score", "magnitude") == ["PruneHeads", "PruneFfn"]


def test_a_target_speed_up_is_measured_and_told(
    ok: Ok, fails: Ok, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertcompress.bert.pruning.cost_table import CostTable
    from bertcompress.search.latency_table import MeasureLatency

    parts = CostTable(1.0, ((0, 0.0), (4, 2.0)), ((0, 0.0), (64, 4.0)), "a fake machine")
    asked: list[MeasureLatency] = []

    def table(self: MeasureLatency, *_: object, **__: object) -> CostTable:
        asked.append(self)
        return parts

    monkeypatch.setattr(MeasureLatency, "table", table)
    monkeypatch.setattr(
        MeasureLatency, "seconds", lambda *_, **__: {"original": 2.0, "pruned": 1.0}
    )

    line = ("prune", "--target-speedup", "1.5", "--precision", "int8", "--multiple", "8")
    assert ok(*line) == "artifacts/001-prune"
    manifest = read_manifest(workspace / "artifacts/001-prune")
    assert manifest is not None
    speed = manifest.history[0].details["target"]
    assert isinstance(speed, dict)
    assert (speed["asked"], speed["measured"]) == ("a speed-up of 1.5", "2.00x")
    assert asked[0].precision == "int8"
    recipe = (workspace / "artifacts/001-prune/recipe.yaml").read_text(encoding="utf-8")
    assert "target_speedup: 1.5" in recipe
    assert "precision: int8" in recipe


def test_a_target_that_can_not_be_meant_is_one_sentence(
    fails: Ok, workspace: Path, model: Path
) -> None:
    assert "must be above 1, got 0.5" in fails(2, "prune", "--target-speedup", "0.5")
    both = ("prune", "--target-speedup", "1.5", "--heads", "0.3")
    assert "not heads and ffn and target_speedup" in fails(2, *both)
    assert "a target does not go with --score" in fails(2, *both[:3], "--score", "fisher")
    assert "precision is for a target in time" in fails(
        2, "prune", "--heads", "0.3", "--precision", "int8"
    )
    assert "precision must be fp32 or int8" in fails(2, *both[:3], "--precision", "int4")


def test_prune_recovers_from_the_model_that_it_was_given(ok: Ok, workspace: Path) -> None:
    ok("prune", "--heads", "0.3", "--recover", "1")

    manifest = read_manifest(workspace / "artifacts/001-prune")
    assert manifest is not None
    assert [step.name for step in manifest.history] == ["Prune", "Recover"]
    ok("quantize", "--bits", "8", "--method", "dynamic")


def test_the_vocabulary_shrinks_to_what_the_data_uses(ok: Ok, workspace: Path) -> None:
    ok("prune", "--vocabulary")

    manifest = read_manifest(workspace / "artifacts/001-prune")
    assert manifest is not None
    assert [step.name for step in manifest.history] == ["PruneVocabulary"]
    assert ok("evaluate").strip()


def test_a_stock_layout_is_written_on_request(ok: Ok, fails: Ok, workspace: Path) -> None:
    ok("prune", "--heads", "0.3", "--layout", "uniform")

    manifest = read_manifest(workspace / "artifacts/001-prune")
    assert manifest is not None
    assert [step.name for step in manifest.history] == ["Prune", "Relayout"]
    assert "layout must be one of" in fails(2, "prune", "--heads", "0.3", "--layout", "tight")


def test_rounds_that_can_not_be_meant_are_one_sentence(fails: Ok, workspace: Path) -> None:
    assert "needs --recover" in fails(2, "prune", "--heads", "0.3", "--rounds", "3")
    assert "leave it out with rounds" in fails(
        *(2, "prune", "--heads", "0.3", "--rounds", "2", "--recover", "1"),
        *("--min-agreement", "90%"),
    )
    assert "must be a part of the original" in fails(
        *(2, "prune", "--target-params", "12M", "--rounds", "2", "--recover", "1")
    )


def test_parameters_as_people_type_them(ok: Ok, workspace: Path, model: Path) -> None:
    assert ok("prune", "--target-params", "80%", "--multiple", "8") == "artifacts/001-prune"
    manifest = read_manifest(workspace / "artifacts/001-prune")
    assert manifest is not None
    assert manifest.history[0].settings["target_params"] == 0.8
