"""The folder of a recorded live run: the table, its provenance, and a copy of the media."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vacli.files.atomic import refuse_existing
from vacli.files.disk_space import report_write_errors
from vacli.output import provenance
from vacli.output.formats import TableOptions
from vacli.output.live.row_file import RowFile
from vacli.output.live.rows import PredictedRows, RowText
from vacli.steps._prediction_provenance import conditions
from vacli.steps._prediction_settings import PredictSettings

TABLE, MEDIA = "live.csv", "live"
MEDIA_SUFFIXES = (".mkv", ".ts")


class LiveRecord:
    """Writes the rows to TABLE in a folder; MEDIA with an ending is the copy of the media.

    Raises OutputError if the folder cannot be written, or holds a record and `force` is not given.
    """

    def __init__(self, folder: Path, with_media: bool, force: bool) -> None:
        self.table = folder / TABLE
        self.media_stem = folder / MEDIA if with_media else None
        copies = [folder / f"{MEDIA}{suffix}" for suffix in MEDIA_SUFFIXES]
        refuse_existing([self.table, *copies], force)
        with report_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for copy in copies:
                copy.unlink(missing_ok=True)  # of another run
        self._file = RowFile(self.table, RowText(".csv"))
        self._made: dict[str, Any] = {}
        self._media: Path | None = None

    def begin(self, prediction: PredictSettings, source: str) -> None:
        """Write the provenance, without digests of files, which are not complete yet."""
        self._made = {**conditions(prediction, TableOptions()), "inputs": [{"name": source}]}
        provenance.write_sidecar(self.table, {**self._made, "files": {}})

    def input_name(self, media: Path | None, source: str) -> str:
        """The value of the column `input`: the copy of the media, so that reports find it, or the source."""
        self._media = media
        return source if media is None else str(media)

    def write(self, rows: PredictedRows) -> None:
        """Append rows."""
        self._file.write(rows)

    def close(self) -> None:
        """Complete the table and add digests to the provenance."""
        self._file.close()
        files = [self.table, *([self._media] if self._media else [])]
        digests = provenance.digests_of({file.name: file for file in files})
        if self._made:
            provenance.write_sidecar(self.table, {**self._made, "files": digests})
