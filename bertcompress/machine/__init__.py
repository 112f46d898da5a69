"""The machine that things are measured on: processor, memory, energy, temperature, GPUs."""
