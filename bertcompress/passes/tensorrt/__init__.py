"""Passes that make TensorRT engines, and the graphs they are built from."""
