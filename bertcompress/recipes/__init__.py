"""Recipes: steps by name, their data, their passes, and the artifacts they make."""
