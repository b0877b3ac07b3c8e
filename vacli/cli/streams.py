"""Standard input, output and error: closed streams, encodings, and control characters in names."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys

from vacli.errors import OutputError, ReaderGone, UsageError

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
NAMES = "va-names"  # error handler for names that the encoding of stdout lacks
MAX_LIST_BYTES = 64 << 20  # of paths on stdin; half a million of them
_closed: set[int] = set()


def fill_closed() -> None:
    """Open the null device for a closed stdin, stdout or stderr, so that no file gets its number."""
    _closed.update(n for n, s in enumerate((sys.stdin, sys.stdout, sys.stderr)) if s is None)
    if not _closed:
        return
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if number in _closed:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115


def stdout_is_closed() -> bool:
    """Whether the program was started without a standard output."""
    return 1 in _closed


def set_encodings() -> None:
    """Set the encoding of stdout so that every file name can be written.

    UTF-8 in pipes and files, unless PYTHONIOENCODING says otherwise; a terminal keeps its own encoding. Bytes
    of names that are not UTF-8 are unchanged; characters that the encoding lacks are written as \\uXXXX.
    """
    codecs.register_error(NAMES, _keep_or_escape)
    if not isinstance(sys.stdout, io.TextIOWrapper):
        return
    if os.environ.get("PYTHONIOENCODING") or sys.stdout.isatty():
        sys.stdout.reconfigure(errors=NAMES)
    else:
        sys.stdout.reconfigure(encoding="utf-8", errors=NAMES)


def lines_of_stdin() -> list[str]:
    """The paths on stdin, one a line or ended by null characters; UsageError above MAX_LIST_BYTES."""
    data = sys.stdin.buffer.read(MAX_LIST_BYTES + 1)  # a device or a program may give data without an end
    if len(data) > MAX_LIST_BYTES:
        raise UsageError(
            f"stdin: more than {MAX_LIST_BYTES >> 20} MB without being a recording",
            hint="give paths, one a line",
        )
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", "surrogatepass").encode("utf-8", "surrogatepass")
    data = data.removeprefix(codecs.BOM_UTF8)
    lines = data.split(b"\0") if b"\0" in data else [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return [os.fsdecode(line) for line in lines if line.strip()]  # bytes: names need not be UTF-8


def give_up_stdout() -> None:
    """Send the rest of stdout to the null device, because its reader has exited."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def printable(text: str) -> str:
    """Text with its control characters written as escapes, so that a terminal does not execute them."""
    return CONTROL.sub(_escaped, text)


def put(text: str) -> None:
    """Write to stdout and flush; on a terminal as `printable`, line by line.

    Raises OutputError, and its subclass ReaderGone for a pipe whose reader has exited.
    """
    if sys.stdout.isatty():
        text = "\n".join(map(printable, text.split("\n")))
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError as error:
        give_up_stdout()
        raise ReaderGone("standard output: its reader has closed it") from error
    except OSError as error:
        give_up_stdout()
        raise OutputError(
            f"standard output: {error.strerror}", hint="send it to a place with room"
        ) from error


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return found[0].encode("unicode_escape").decode()


def _keep_or_escape(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    kept = b""
    for character in error.object[error.start : error.end]:
        code = ord(character)
        byte = 0xDC80 <= code <= 0xDCFF
        kept += bytes([code - 0xDC00]) if byte else character.encode("ascii", "backslashreplace")
    return kept, error.end
