"""Passes from a checkpoint to a graph, and the forms of graphs."""
