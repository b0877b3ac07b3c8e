"""The output of `va predict`: stdout, a pipe or a device, or a file that appears when it is complete."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vacli.cli import streams
from vacli.cli.console import Console
from vacli.errors import OutputError, ReaderGone
from vacli.files.atomic import Draft
from vacli.files.disk_space import report_write_errors

OPEN_ALREADY = re.compile(r"/dev/(?:fd/)?(stdout|stderr|\d+)|/proc/self/fd/(\d+)")
STANDARD = {"stdout": 1, "stderr": 2}
ROWS_ENDING = ".jsonl"  # of the rows of a table whose file is written at the end


def _check_writable(path: Path) -> None:
    """Raise OutputError for a file that could not be written at the end."""
    draft = Draft(path)
    try:
        draft.create()
    finally:
        draft.discard()


def is_stream(out: Path | None) -> bool:
    """Whether an output is stdout, an open file descriptor, a pipe or a device, and not a file or folder."""
    if out is None or out == Path("-") or OPEN_ALREADY.fullmatch(str(out)):
        return True
    return os.path.exists(out) and not os.path.isfile(out) and not os.path.isdir(out)


class TableTarget:
    """An open output: stdout for `out` None or `-`, an open file descriptor, a pipe, a device or a file.

    A file keeps its old content until the table is complete (`draft`, see `atomic.Draft`; `opened` creates
    it, if `supervisor.split` has not). convert: writes the file from the path of the draft, which is then
    named after `out` and ROWS_ENDING, and removed. Raises OutputError for a path that cannot be written.
    """

    def __init__(self, out: Path | None, convert: Callable[[Path], None] | None = None) -> None:
        self._out = out = None if out == Path("-") else out
        self._fd: int | None = None
        self._convert = convert
        self.draft: Draft | None = None
        if out is None:
            if streams.stdout_is_closed():
                raise OutputError("standard output is closed", hint="name a file with -o")
        elif held := OPEN_ALREADY.fullmatch(str(out)):
            name = held[1] or held[2]
            self._fd = os.dup(STANDARD[name] if name in STANDARD else int(name))
        elif is_stream(out):
            with report_write_errors(out):
                self._fd = os.open(out, os.O_WRONLY)
        elif convert is None:
            self.draft = Draft(out)
        else:
            _check_writable(out)
            self.draft = Draft(out.with_name(f"{out.name}{ROWS_ENDING}"))

    @property
    def is_stdout(self) -> bool:
        """Whether rows go to stdout, where a user or the next program may wait for them."""
        return self._out is None

    @contextmanager
    def opened(self, console: Console) -> Iterator[Callable[[str], None]]:
        """A function that writes text at once. After an error a file keeps a temporary name."""
        if self._out is None:
            yield streams.put
            return
        try:
            if self.draft is not None:
                self.draft.create()
            yield self._write
            if self._convert is not None and self.draft is not None and self._has_rows(self.draft):
                self._convert(self.draft.part)
        except BaseException:
            if self.draft is not None and (kept := self.draft.keep()):
                as_before = f"; {self._out} is as it was before" if os.path.exists(self._out) else ""
                console.info(f"{kept} has the rows so far{as_before}")
            raise
        finally:
            if self._fd is not None:
                os.close(self._fd)
        if self.draft is not None:
            is_complete = self._convert is None and self._has_rows(self.draft)
            self.draft.commit() if is_complete else self.draft.discard()

    @staticmethod
    def _has_rows(draft: Draft) -> bool:
        return os.fstat(draft.fd).st_size > 0

    def _write(self, text: str) -> None:
        fd = self._fd if self.draft is None else self.draft.fd
        assert fd is not None
        assert self._out is not None
        rest = memoryview(text.encode("utf-8", "surrogateescape"))
        try:
            with report_write_errors(self._out):
                while rest:
                    rest = rest[os.write(fd, rest) :]
        except BrokenPipeError as error:
            raise ReaderGone(f"{self._out}: its reader has closed it") from error
