"""What `datasets` wrote with ``save_to_disk``; test_public_formats reads whole ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.data.saved_folder import is_saved, saved_source
from bertcompress.data.table import ReadSettings
from bertcompress.errors import DataError

SETTINGS = ReadSettings("text-classification")


def test_a_folder_is_known_by_its_description(tmp_path: Path) -> None:
    assert not is_saved(tmp_path)
    (tmp_path / "dataset_dict.json").write_text("{}")
    assert is_saved(tmp_path)


def test_a_damaged_folder_is_named(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(DataError, match="can't be read as a data set that was saved to disk"):
        saved_source(tmp_path, SETTINGS, name="saved")
