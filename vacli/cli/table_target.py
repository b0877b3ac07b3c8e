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


class TableTarget:
    """An open output: stdout for `out` None or `-`, an open file descriptor, a pipe, a device or a file.

    A file keeps its old content until the table is complete (`draft`, see `atomic.Draft`). Raises OutputError
    for a path that cannot be written.
    """

    def __init__(self, out: Path | None) -> None:
        self._out = out = None if out == Path("-") else out
        self._fd: int | None = None
        self.draft: Draft | None = None
        if out is None:
            if streams.stdout_is_closed():
                raise OutputError("standard output is closed", hint="name a file with -o")
        elif held := OPEN_ALREADY.fullmatch(str(out)):
            name = held[1] or held[2]
            self._fd = os.dup(STANDARD[name] if name in STANDARD else int(name))
        elif os.path.exists(out) and not os.path.isfile(out) and not os.path.isdir(out):
            with report_write_errors(out):
                self._fd = os.open(out, os.O_WRONLY)
        else:
            self.draft = Draft(out)

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
            yield self._write
        except BaseException:
            if self.draft is not None and (kept := self.draft.keep()):
                as_before = f"; {self._out} is as it was before" if os.path.exists(self._out) else ""
                console.info(f"{kept} has the rows so far{as_before}")
            raise
        finally:
            if self._fd is not None:
                os.close(self._fd)
        if self.draft is not None:
            self.draft.commit() if os.fstat(self.draft.fd).st_size else self.draft.discard()

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
