"""Refuse a name of a file for an output that is a folder."""

from __future__ import annotations

from pathlib import Path

from vacli.errors import UsageError

FILE_ENDINGS = (".png", ".pdf", ".svg", ".html", ".htm", ".csv")  # of figures, pages and tables


def check_is_folder(out: Path, hint: str) -> None:
    """Raise UsageError for a path that looks like a file, unless there is a folder of that name."""
    if out.suffix.lower() in FILE_ENDINGS and not out.is_dir():
        raise UsageError(f"-o names a folder; {out.name} looks like a file", hint=hint)
