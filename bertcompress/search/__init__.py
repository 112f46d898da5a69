"""Searches: passes tried and measured, the best kept."""
