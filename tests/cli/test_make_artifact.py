"""What every verb that makes an artifact prints, and where it goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertcompress.errors import PassError, UsageError
from bertcompress.passes.prune.prune_units import PruneHeads
from bertcompress_cli.make_artifact import run_verb
from bertcompress_cli.options import DataOptions
from bertcompress_cli.place import Place, place_of
from tests.fixtures.command import Run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def place(here: Path, model: Path) -> Place:
    return place_of("prune", str(model), DataOptions())


def test_the_folder_is_the_result_or_all_that_is_known_of_it(
    place: Place, here: Path, capsys: Capture
) -> None:
    passes = (PruneHeads(0.25),)

    run_verb("prune", place, passes, out=Path("a"), overwrite=False, as_json=False, remark="so")
    text = capsys.readouterr()
    run_verb("prune", place, passes, out=Path("b"), overwrite=False, as_json=True)
    facts = json.loads(capsys.readouterr().out)

    assert text.out == "a\n"
    assert text.err.startswith("note: so\n")
    assert "made by" in text.err
    assert text.err.splitlines()[-1].startswith("next: bertcompress quantize a --data DATA -o ")
    assert (facts["folder"], facts["kind"], facts["steps"]) == ("b", "checkpoint", ["PruneHeads"])
    assert facts["quality"] is None  # no data was typed
    assert facts["size_bytes"] == (here / "b" / "model.safetensors").stat().st_size


def test_a_folder_that_is_there_is_kept_unless_it_may_be_replaced(place: Place) -> None:
    passes = (PruneHeads(0.25),)
    run_verb("prune", place, passes, out=Path("a"), overwrite=False, as_json=False)

    with pytest.raises((UsageError, PassError), match="--overwrite"):
        run_verb("prune", place, passes, out=Path("a"), overwrite=False, as_json=False)
    run_verb("prune", place, passes, out=Path("a"), overwrite=True, as_json=False)


def test_outside_a_workspace_it_must_be_said_where_to_write(place: Place) -> None:
    with pytest.raises(UsageError, match="prune must know where to write; type: "):
        run_verb("prune", place, (PruneHeads(0.25),), out=None, overwrite=False, as_json=False)


def test_an_interrupt_after_the_folder_is_there_says_so(
    bc: Run, model: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bertcompress_cli.make_artifact.outcome_of", interrupted)
    found = bc("prune", model, "--heads", "0.5", "--score", "magnitude", "-o", "a")
    assert (found.returncode, (here / "a").is_dir()) == (130, True)
    assert "a is complete" in found.stderr
