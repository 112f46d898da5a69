"""Passes that put a graph's products into integers."""
