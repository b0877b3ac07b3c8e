"""Typed recipes: their schema, the presets, and how they are read and written."""
