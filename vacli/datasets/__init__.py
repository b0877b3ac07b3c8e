"""Annotation files and emotion corpora of others, label refinement, and synthetic sequences."""
