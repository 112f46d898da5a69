"""Texts in, answers out: a model folder opened for answering."""
