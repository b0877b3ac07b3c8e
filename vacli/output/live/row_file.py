"""A table that is complete on disk up to the last second, whatever ends the process."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from vacli.files.disk_space import report_write_errors
from vacli.output.live.rows import PredictedRows, RowText

SYNC_S = 1.0


class RowFile:
    """Appends rows to a file: each write has whole rows, so that a killed process leaves no part of a row.

    A part that did not fit on the disk is removed again. A thread writes the rows to the disk itself about
    once a second, because this may take long. Raises OutputError if the file cannot be written.
    """

    def __init__(self, path: Path, text: RowText) -> None:
        self._path, self._text = path, text
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | getattr(os, "O_BINARY", 0)
        with report_write_errors(path):
            self._fd = os.open(path, flags, 0o666)
        self._size = 0
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._sync, name="row-file", daemon=True)
        self._thread.start()

    def write(self, rows: PredictedRows) -> None:
        """Append rows."""
        if not len(rows.table):
            return
        data = self._text.of(rows.table).encode("utf-8", "surrogateescape")
        rest = memoryview(data)
        with report_write_errors(self._path):
            try:
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
            except OSError:
                os.ftruncate(self._fd, self._size)
                raise
        self._size += len(data)

    def close(self) -> None:
        """Write everything to the disk and close the file."""
        self._is_closed.set()
        self._thread.join()
        with suppress(OSError):
            os.fsync(self._fd)
        os.close(self._fd)

    def _sync(self) -> None:
        while not self._is_closed.wait(SYNC_S):
            with suppress(OSError):  # of a device without synchronisation
                os.fsync(self._fd)
