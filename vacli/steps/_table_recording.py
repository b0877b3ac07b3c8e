"""Whether a file is the recording that the rows of a table were made from, by the table's provenance."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vacli.media.kinds import MediaInput
from vacli.output.provenance import read_sidecar
from vacli.progress import Progress
from vacli.steps._prediction_provenance import is_unchanged


def other_recording(table: Path, name: str, media: Path) -> Mapping[str, Any] | None:
    """The record of the file that rows were made from, if `media` is another file.

    name: of the recording in the table. None if `media` is that file, or the provenance does not name it.
    """
    records = [
        record
        for record in (read_sidecar(table) or {"inputs": []})["inputs"]
        if record.get("name") == os.path.basename(name) and "sha256" in record and "size_bytes" in record
    ]
    if not records or any(is_unchanged(record, MediaInput(media, "video")) for record in records):
        return None
    return records[0]


def warn_of_other_recording(table: Path, name: str, media: Path, progress: Progress) -> None:
    """Warn if `media` is not the file that the rows of a recording were made from."""
    record = other_recording(table, name, media)
    if record is not None:
        progress.warn(
            f"{table}: its rows were made from another {record['name']} ({record['size_bytes']} bytes, "
            f"SHA-256 {str(record['sha256'])[:12]}) than {media} ({media.stat().st_size} bytes); "
            "put the right file there, or predict it again"
        )
