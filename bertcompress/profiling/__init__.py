"""Where time goes: kernels that ran, operations, precision of each product."""
