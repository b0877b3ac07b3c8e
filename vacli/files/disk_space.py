"""One line for a disk that is full, whichever library meets it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vacli.errors import OutputError

FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
REFUSED = frozenset(
    [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG]
)
TIGHT_BYTES = 1 << 20  # with less room, a writer that says no reason has met a full disk


@contextmanager
def explained(path: Path, need_bytes: int | None = None) -> Iterator[None]:
    """Turn what libraries raise where `path` cannot be written into OutputError; other errors pass.

    A full disk is known by its error number, by the text of safetensors' and torch's own errors, or, where
    these say only that a file could not be written, by the room that is left.
    """
    try:
        yield
    except Exception as error:
        free = free_bytes(path)
        tight = free is not None and free < max(need_bytes or 0, TIGHT_BYTES)
        if is_full(error) or (tight and _tells_of_writing(error)):
            raise no_space(path, error, need_bytes) from error
        if _tells_of_writing(error) or getattr(error, "errno", None) in REFUSED:
            why = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise OutputError(f"{path}: cannot be written: {why}", hint="name another place") from error
        raise


def is_full(error: Exception) -> bool:
    """Whether an error says that there is no room left, in whichever words."""
    return getattr(error, "errno", None) in FULL or _tells_of_a_full_disk(str(error))


def no_space(path: Path, error: Exception, need_bytes: int | None = None) -> OutputError:
    """The error of a full disk: its place, what is needed if that is known, and what is free."""
    what = {errno.EDQUOT: "over the quota", errno.EFBIG: "larger than files may be here"}
    free = free_bytes(path)
    need = f"needs about {_size(need_bytes)}" if need_bytes else ""
    there = f"{_size(free)} are free" if free is not None else ""
    sizes = ", ".join(part for part in (need, there) if part)
    line = what.get(getattr(error, "errno", 0), "no space left") + (f"; {sizes}" if sizes else "")
    return OutputError(f"{path}: {line}", hint="make room or name another place")


def _tells_of_a_full_disk(text: str) -> bool:
    return any(
        words in text for words in ("No space left", "os error 28", "code: 28,", "Disk quota exceeded")
    )


def _tells_of_writing(error: Exception) -> bool:
    """Whether a library's own error says that it could not write, without the system's reason."""
    text, kind = str(error), type(error)
    if isinstance(error, OSError):
        return error.errno is None and "requested and" in text and "written" in text  # numpy's
    return kind.__name__ == "SafetensorError" or (
        isinstance(error, RuntimeError) and ("enforce fail" in text or "PytorchStreamWriter" in text)
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def free_bytes(path: Path) -> int | None:
    """The room on the disk that `path` lies on or will; None where the system does not say."""
    import shutil  # not at the top: `va --help` has no use for it

    for folder in (path, *path.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return None
