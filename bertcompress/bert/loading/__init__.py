"""Model folders and hub names to checkpoints."""
