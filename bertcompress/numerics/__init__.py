"""Arithmetic only: how many scales a tensor has, and how numbers become integers and back."""
