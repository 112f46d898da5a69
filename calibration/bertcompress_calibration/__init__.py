"""Ranges from data: runs a float graph over examples and decides what range each tensor takes.

table = calibrate(model, examples, task=task)            a table, to look at or to save
QuantizeStatic(calibrate=Calibrate(examples))            measured when the pass runs
QuantizeStatic(calibrate=SavedTable("table.safetensors"))     measured before
"""

from bertcompress_calibration.calibrators import Calibrate, SavedTable
from bertcompress_calibration.collect import calibrate
from bertcompress_calibration.ranges import METHODS
from bertcompress_calibration.sampling import draw_samples

__all__ = ["METHODS", "Calibrate", "SavedTable", "calibrate", "draw_samples"]
