"""Reading a recording's sound and telling what a user should know of it."""

from __future__ import annotations

from pathlib import Path

from vacli.media.audio import Sound
from vacli.pipeline.reader_warnings import warn_of
from vacli.progress import Progress


def warn_of_sound(path: Path, sound: Sound | None, progress: Progress) -> None:
    """Warn of what was lost of a sound, and of what was chosen or changed in reading it."""
    if sound is None:
        return
    warn_of(path, sound.notes, progress)
    if sound.broken:
        progress.warn(f"{path}: {sound.broken}; the rest of the sound is used")
