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

    A record that is already there is replaced when the source gives its first frame (`begin`).
    Raises OutputError if the folder cannot be written, or holds a record and `force` is not given.
    """

    def __init__(self, folder: Path, with_media: bool, force: bool) -> None:
        self.table = folder / TABLE
        self.media_stem = folder / MEDIA if with_media else None
        self._copies = [folder / f"{MEDIA}{suffix}" for suffix in MEDIA_SUFFIXES]
        refuse_existing([self.table, *self._copies], force)
        with report_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._file: RowFile | None = None
        self._made: dict[str, Any] = {}
        self._media: Path | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the files are those of this run."""
        return self._file is not None

    def begin(self, prediction: PredictSettings, source: str, media: Path | None) -> str:
        """Create the table and its provenance, without digests of files, which are not complete yet.

        media: the copy of the media. Returns the value of the column `input`: this copy, so that reports
        find it, or the source.
        """
        self._media = media
        with report_write_errors(self.table.parent):
            for copy in self._copies:
                if copy != media:
                    copy.unlink(missing_ok=True)  # of another run
        self._file = RowFile(self.table, RowText(".csv"))
        self._made = {**conditions(prediction, TableOptions()), "inputs": [{"name": source}]}
        provenance.write_sidecar(self.table, {**self._made, "files": {}})
        return source if media is None else str(media)

    def write(self, rows: PredictedRows) -> None:
        """Append rows. Call it after `begin`."""
        assert self._file is not None
        self._file.write(rows)

    def close(self) -> None:
        """Complete the table and add digests to the provenance."""
        if self._file is None:
            return
        self._file.close()
        files = [self.table, *([self._media] if self._media else [])]
        digests = provenance.digests_of({file.name: file for file in files})
        provenance.write_sidecar(self.table, {**self._made, "files": digests})
