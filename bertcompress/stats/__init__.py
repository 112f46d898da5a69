"""Statistics of measurements: intervals, resampling, tests of slowdowns."""
