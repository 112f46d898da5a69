"""Artifacts: what passes take and give, and the folders they are kept in."""
