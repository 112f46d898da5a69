"""Graphs as TensorRT takes them."""
