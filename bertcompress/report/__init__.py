"""A benchmark's report: its data, its verdict and its pages."""
