"""Scores of runs and predictions."""
