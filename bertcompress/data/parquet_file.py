"""Reads Parquet through pyarrow, which is optional."""

from __future__ import annotations

from pathlib import Path

from bertcompress.data.table import Record, RecordTable
from bertcompress.errors import DataError, MissingDependencyError


def read_parquet(path: Path, *, name: str) -> RecordTable:
    """Reads all columns of a Parquet file; rows count from 1.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        DataError: The file is not Parquet, or has no rows.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "data", f"reading {path.name}") from error
    try:
        # A file on its own: `read_table` would take columns from folder names such as `lang=en`.
        with parquet.ParquetFile(path) as file:
            rows = file.read().to_pylist()
            columns = tuple(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} can't be read as Parquet: {str(error).splitlines()[0]}; "
            "type the path of a Parquet file, or rename it to what it is"
        ) from error
    if not rows:
        raise DataError(
            f"{path} has the columns {', '.join(columns)} and no rows; "
            "type the path of a file with examples"
        )
    records = tuple(Record(f"{name}:{row}", values) for row, values in enumerate(rows, start=1))
    return RecordTable(name, columns, records)
