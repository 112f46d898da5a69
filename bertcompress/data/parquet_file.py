"""Reads Parquet through pyarrow, which is optional."""

from __future__ import annotations

from pathlib import Path

from bertcompress.data.class_names import names_in_schema, names_note, with_names
from bertcompress.data.table import Record, RecordTable
from bertcompress.errors import DataError, MissingDependencyError


def read_parquet(path: Path, *, name: str) -> RecordTable:
    """Reads all columns of a Parquet file, classes by their declared names; rows count from 1.

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
            named = names_in_schema(file.schema_arrow.metadata)
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
    records = tuple(
        Record(f"{name}:{number}", with_names(row, named))
        for number, row in enumerate(rows, start=1)
    )
    return RecordTable(name, columns, records, (names_note(named),) if named else ())
