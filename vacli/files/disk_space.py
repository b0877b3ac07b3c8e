"""Error messages for paths that cannot be written, above all on a full disk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vacli.errors import OutputError
from vacli.files.object_path import ObjectPath

DISK_FULL_ERRNOS = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
REFUSED_ERRNOS = frozenset(
    [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG]
)
LOW_SPACE_BYTES = 1 << 20  # below it, a write error without a reason means a full disk


@contextmanager
def report_write_errors(path: Path, need_bytes: int | None = None) -> Iterator[None]:
    """Turn the errors of libraries that cannot write `path` into OutputError; other errors pass.

    need_bytes: the size of the file, if known, for the message. A full disk is recognised by the error
    number, by the text of an error of safetensors or torch, or, if there is no reason, by the free space.
    """
    try:
        yield
    except Exception as error:
        free = free_bytes(path)
        tight = free is not None and free < max(need_bytes or 0, LOW_SPACE_BYTES)
        if is_disk_full(error) or (tight and _is_write_error(error)):
            raise disk_full_error(path, error, need_bytes) from error
        if _is_write_error(error) or getattr(error, "errno", None) in REFUSED_ERRNOS:
            why = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise OutputError(f"{path}: cannot be written: {why}", hint="name another path") from error
        raise


def is_disk_full(error: BaseException) -> bool:
    """Whether an error means that the disk is full."""
    return getattr(error, "errno", None) in DISK_FULL_ERRNOS or _mentions_full_disk(str(error))


def disk_full_error(path: Path, error: BaseException, need_bytes: int | None = None) -> OutputError:
    """The error for a full disk, with the bytes that are needed, if known, and those that are free."""
    reasons = {errno.EDQUOT: "over the quota", errno.EFBIG: "file too large for this file system"}
    free = free_bytes(path)
    need = f"needs about {_format_size(need_bytes)}" if need_bytes else ""
    there = f"{_format_size(free)} are free" if free is not None else ""
    sizes = ", ".join(part for part in (need, there) if part)
    line = reasons.get(getattr(error, "errno", 0), "no space left") + (f"; {sizes}" if sizes else "")
    return OutputError(f"{path}: {line}", hint="free some space or name another path")


def _mentions_full_disk(text: str) -> bool:
    return any(
        words in text for words in ("No space left", "os error 28", "code: 28,", "Disk quota exceeded")
    )


def _is_write_error(error: Exception) -> bool:
    """Whether an error of a library means a failed write, without the reason of the system."""
    text, kind = str(error), type(error)
    if isinstance(error, OSError):
        return error.errno is None and "requested and" in text and "written" in text  # numpy's
    return kind.__name__ == "SafetensorError" or (
        isinstance(error, RuntimeError) and ("enforce fail" in text or "PytorchStreamWriter" in text)
    )


def _format_size(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def free_bytes(path: Path) -> int | None:
    """Free bytes on the disk of `path`, which need not exist yet; None if they are unknown."""
    import shutil  # not at the top: `va --help` does not need it
    import tempfile

    if isinstance(path, ObjectPath):  # what is written there lies in the folder for temporary files first
        path = Path(tempfile.gettempdir())
    for folder in (path, *path.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return None
