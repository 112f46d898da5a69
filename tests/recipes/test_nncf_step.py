"""The step quantize-nncf: what it calibrates on, what it holds out, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.errors import UsageError
from bertcompress.passes.quantize.quantize_nncf import QuantizeNncf
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.recipe import StepSpec, make_pass
from bertcompress.recipes.resources import Material
from bertcompress_calibration import DrawFeatures


@pytest.fixture
def material(tmp_path: Path) -> Material:
    """Gives twenty labelled texts."""
    rows = [f"film {at},{'positive' if at % 2 else 'negative'}" for at in range(20)]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    source = DataSource(source=str(tmp_path / "train.csv"))
    return Material(source, task="text-classification")


def made(material: Material, **settings: object) -> QuantizeNncf:
    one = make_pass(StepSpec("quantize-nncf", settings), material, seed=4)
    assert isinstance(one, QuantizeNncf)
    return one


def test_settings_reach_the_pass_and_the_draw(material: Material) -> None:
    one = made(material, samples=7, smooth_alpha=None, keep_float=["a"], max_length=64)
    assert (one.smooth_alpha, one.keep_float, one.seed) == (None, ("a",), 4)
    assert one.draw == DrawFeatures(material.examples, samples=7, max_length=64, seed=4)
    assert (one.max_drop, one.held_out) == (None, ())


def test_what_is_held_out_is_not_calibrated_on(material: Material) -> None:
    one = made(material, max_drop=0.01, held_out=6)
    assert isinstance(one.draw, DrawFeatures)
    held, drawn = ({example.id for example in part} for part in (one.held_out, one.draw.examples))
    assert (len(held), len(drawn), held & drawn) == (6, 14, set())


def test_no_more_than_half_is_held_out(material: Material) -> None:
    assert len(made(material, max_drop=0.01).held_out) == 10


def test_what_can_not_be_meant(material: Material) -> None:
    with pytest.raises(UsageError, match="add max_drop"):
        made(material, held_out=5)
    with pytest.raises(UsageError, match="held_out must be 1 or more"):
        made(material, max_drop=0.1, held_out=0)
    with pytest.raises(UsageError, match="none was given; add --data"):
        made(Material(None, task="text-classification"))
    with pytest.raises(UsageError, match=r"no setting 'smooth_alfa'.*did you mean"):
        made(material, smooth_alfa=0.5)
