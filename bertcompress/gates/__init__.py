"""Bounds that a report or a comparison must keep, and what CI shows of them."""
