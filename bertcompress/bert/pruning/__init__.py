"""What units of an encoder are worth, and what is left re-fitted: the arithmetic of pruning."""
