"""Passes that remove heads, neurons, layers and words."""
