"""Ranges from data: runs a float graph over examples and decides what range each tensor takes.

table = calibrate(model, examples, task=task)            a table, to look at or to save
QuantizeStatic(calibrate=Calibrate(examples))            measured when the pass runs
QuantizeStatic(calibrate=SavedTable("table.safetensors"))     measured before
QuantizeNncf(draw=DrawFeatures(examples))                  inputs for a calibration of its own
decided_again(table, method="mse")                       other ranges from the same statistics
calibrate_over_seeds(Calibrate(examples), model)         a table that says how stable it is
"""

from bertcompress_calibration.calibrators import Calibrate, SavedTable
from bertcompress_calibration.collect import calibrate
from bertcompress_calibration.decide import decided_again
from bertcompress_calibration.draw import DrawFeatures
from bertcompress_calibration.random_texts import RANDOM, random_texts
from bertcompress_calibration.ranges import METHODS
from bertcompress_calibration.sampling import draw_samples
from bertcompress_calibration.stability import calibrate_over_seeds

__all__ = [
    "METHODS",
    "RANDOM",
    "Calibrate",
    "DrawFeatures",
    "SavedTable",
    "calibrate",
    "calibrate_over_seeds",
    "decided_again",
    "draw_samples",
    "random_texts",
]
