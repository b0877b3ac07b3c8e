"""Rows of a store as batches of windows."""
