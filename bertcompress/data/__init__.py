"""Data sets: files, folders and hub names become examples, splits and samples."""

from bertcompress.data.load import load_dataset
from bertcompress.data.partition import partition, sample
from bertcompress.data.table import Columns, LabelKind

__all__ = ["Columns", "LabelKind", "load_dataset", "partition", "sample"]
