"""Whether a file is the recording that the rows of a table were made from, by the table's provenance."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vacli.media.kinds import MediaInput
from vacli.output.provenance import origins
from vacli.progress import Progress
from vacli.steps._prediction_provenance import is_unchanged


def other_recordings(table: Path, name: str, media: Path) -> list[Mapping[str, Any]]:
    """The records of the file that rows were made from, if `media` is another file.

    name: of the recording in the table. It is empty if `media` is that file, or the provenance does not name
    it. There are several if the table has several recordings of the same file name.
    """
    records = [
        record
        for made in origins(table)
        for record in made["inputs"]
        if record.get("name") == os.path.basename(name) and "sha256" in record and "size_bytes" in record
    ]
    is_same = any(is_unchanged(record, MediaInput(media, "video")) for record in records)
    return [] if is_same else records


def warn_of_other_recording(table: Path, name: str, media: Path, progress: Progress) -> None:
    """Warn if `media` is not the file that the rows of a recording were made from."""
    records = other_recordings(table, name, media)
    if records:
        were = " or ".join(f"{one['size_bytes']} bytes, SHA-256 {str(one['sha256'])[:12]}" for one in records)
        progress.warn(
            f"{table}: its rows were made from another {records[0]['name']} ({were}) than {media} "
            f"({media.stat().st_size} bytes); put the right file there, or predict it again"
        )
