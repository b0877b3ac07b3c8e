"""Warnings about what was left out, joined or corrected while a file was read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from vacli.progress import Progress

if TYPE_CHECKING:
    from vacli.media.audio import Sound


def warn_of_notes(path: Path, notes: Iterable[str], progress: Progress) -> None:
    """Show the notes of a reader as warnings."""
    for note in notes:
        progress.warn(f"{path}: {note}")


def warn_of_sound(path: Path, sound: Sound | None, progress: Progress) -> None:
    """Show the notes of a recording's sound, and where its decoding failed; None for no sound."""
    if sound is None:
        return
    warn_of_notes(path, sound.notes, progress)
    if sound.decode_error:
        progress.warn(f"{path}: {sound.decode_error}; the rest of the sound is used")
