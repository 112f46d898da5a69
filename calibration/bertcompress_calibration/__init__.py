"""Ranges from data: runs a float graph over examples and decides what range each tensor takes.

table = calibrate(model, examples, task=task)            a table, to look at or to save
Context(examples, calibrate=calibrate_ranges)            what passes find ranges with
Ranges(table="table.safetensors")                        a table measured before
decided_again(table, method="mse")                       other ranges from the same statistics
calibrate_over_seeds(model, Ranges(), context)           a table that says how stable it is
"""

from bertcompress_calibration.calibrate_ranges import calibrate_ranges, check_ranges
from bertcompress_calibration.collect import calibrate
from bertcompress_calibration.decide import decided_again
from bertcompress_calibration.random_texts import RANDOM, random_texts
from bertcompress_calibration.range_methods import METHODS
from bertcompress_calibration.stability import calibrate_over_seeds

__all__ = [
    "METHODS",
    "RANDOM",
    "calibrate",
    "calibrate_over_seeds",
    "calibrate_ranges",
    "check_ranges",
    "decided_again",
    "random_texts",
]
