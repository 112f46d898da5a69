"""The wheel: three import packages, nothing called cli or calibration, all data files."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    pytest.importorskip("hatchling", reason="building a wheel needs hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_the_top_level_names(names: list[str]) -> None:
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "bertcompress",
        "bertcompress_calibration",
        "bertcompress_cli",
    }


@pytest.mark.parametrize(
    "file",
    [
        "bertcompress/py.typed",
        "bertcompress_cli/py.typed",
        "bertcompress_calibration/py.typed",
        "bertcompress/report/page.html.jinja",
        "bertcompress/report/report.css",
        "bertcompress/report/report.schema.json",
        "bertcompress/data/demo_corpus/train.csv",
        "bertcompress/data/demo_corpus/LICENSE",
        "bertcompress/bert/modeling_pruned_bert.py",
    ],
)
def test_files_that_the_package_reads_are_in_it(file: str, names: list[str]) -> None:
    assert file in names


def test_no_test_and_no_cache_is_in_it(names: list[str]) -> None:
    assert not [name for name in names if name.split("/")[-1].startswith(("test_", "conftest"))]
    assert not [name for name in names if "__pycache__" in name]


def test_every_room_of_the_library_has_its_place_among_the_layers() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = {room.strip() for layer in layers for room in layer.split("|")}
    rooms = {
        f"bertcompress.{path.stem}"
        for path in (ROOT / "bertcompress").iterdir()
        if (path / "__init__.py").is_file() or path.suffix == ".py"
    }

    assert rooms - placed == {"bertcompress.__init__"}


def test_every_dependency_has_a_floor_that_the_floors_environment_takes() -> None:
    """`make test-floors` installs these; a requirement without one would be tested at any."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    printed = subprocess.run(
        [sys.executable, ROOT / ".ci" / "floors.py"], check=True, capture_output=True, text=True
    ).stdout.split()

    wanted = [*project["dependencies"], *extras["cpu"], *extras["data"], *extras["train"]]
    assert len(printed) == len(wanted)
    for constraint, requirement in zip(printed, wanted, strict=True):
        assert requirement.startswith(constraint.replace("==", ">=")), requirement
    others = (one for extra in extras.values() for one in extra if ">=" not in one)
    assert {one.split("[")[0] for one in others} == {"bertcompress", "types-PyYAML"}
