"""Passes that train: fine-tuning, distillation, training for the integers."""
