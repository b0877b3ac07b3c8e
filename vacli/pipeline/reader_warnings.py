"""Warnings about a video beside its rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vacli.progress import Progress


def warn_of(path: Path, notes: Iterable[str], progress: Progress) -> None:
    """Warn of what was passed over, joined or set right in reading a file."""
    for note in notes:
        progress.warn(f"{path}: {note}")
