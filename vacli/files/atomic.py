"""Files that appear whole or not at all.

write_text, write_bytes   a small file at once
writing                   a file object whose content takes its name at the end
filling                   a path that a library may fill, which takes its name at the end
Draft                     the same by hand, for what is kept where it is interrupted
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO

from vacli.errors import OutputError
from vacli.files.disk_space import explained

try:
    import fcntl
except ImportError:  # Windows: leftovers of killed processes stay
    fcntl = None  # type: ignore[assignment]

SHORT_BYTES = 100  # of a target's name that its drafts carry: some file systems allow 143
DRAFT = re.compile(r"\.va-[0-9a-f]{8}\.part$")
LINKS = 40  # as many as the kernel follows


class Draft:
    """A new file beside `path`, of a name of its own, that takes the place of `path` when it is whole.

    A link is followed to what it points to, as long as it is the user's own. `fd` is open for reading and
    writing and is closed by `commit`, `discard` and `keep`. The kernel's lock on it tells that it is in use:
    what killed processes left of the same target is removed by the next `commit`.
    Raises OutputError where the place cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = _followed(path)
        with explained(path):
            _check_target(self.path)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.part, self.fd = _create(self.path)

    def commit(self) -> None:
        """Put it in the place of `path`. Raises OutputError, and keeps it under another name, if not."""
        try:
            os.fsync(self.fd)
            self._release_on_windows()
            os.replace(self.part, self.path)
        except OSError as error:
            kept = self.keep()
            raise OutputError(
                f"{self.path} cannot be replaced: {error.strerror}; what was made is in {kept}",
                hint="name another file",
            ) from error
        self._close()
        for name in _leftovers(self.path.parent):
            if name.startswith(_stem(self.path)):
                _remove_if_dead(self.path.parent / name)

    def discard(self) -> None:
        """Remove it; `path` stays as it was. Nothing is done to what was committed or kept."""
        if self.fd < 0:
            return
        self._release_on_windows()
        with suppress(OSError):
            self.part.unlink(missing_ok=True)
        self._close()

    def keep(self) -> Path | None:
        """Give it a name for people, PATH.partial or the next that is free; None where nothing is in it."""
        if not self.part.stat().st_size:
            self.discard()
            return None
        self._release_on_windows()
        for number in range(1, 1000):
            name = self.path.with_name(f"{_short(self.path)}.partial{f'-{number}' if number > 1 else ''}")
            if not os.path.lexists(name):
                with suppress(OSError):
                    os.rename(self.part, name)
                    self.part = name
                break
        self._close()
        return self.part

    def _release_on_windows(self) -> None:
        """There, a file that is open can be neither renamed nor removed."""
        if os.name == "nt":
            self._close()

    def _close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@contextmanager
def filling(path: Path, need_bytes: int | None = None) -> Iterator[Path]:
    """A fresh path beside `path` for a library to write; renamed at the end, removed after an error.

    Its suffix is not that of `path`. `need_bytes`: how large it will be, if known, for the message of a
    full disk. Raises OutputError.
    """
    draft = Draft(path)
    try:
        with explained(path, need_bytes):
            yield draft.part
            _sync(draft.part)
            draft.commit()
    except BaseException:
        draft.discard()
        raise


@contextmanager
def writing(path: Path, mode: str = "w") -> Iterator[IO]:
    """A file object for the content of `path`: "wb" takes bytes, "w" UTF-8 text with newlines as given."""
    with filling(path) as part:
        text = {} if "b" in mode else {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
        with open(part, mode, **text) as stream:
            yield stream


def write_text(path: Path, text: str) -> None:
    """Write a text file whole, UTF-8. Raises OutputError."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole. Raises OutputError."""
    with filling(path, len(data)) as part:
        part.write_bytes(data)


def _followed(path: Path) -> Path:
    """Where a link leads. Raises OutputError for one that leads nowhere or was laid by somebody else."""
    for _ in range(LINKS):
        if not path.is_symlink():
            return path
        link, folder = os.lstat(path), os.stat(path.parent)
        own = os.geteuid() if hasattr(os, "geteuid") else link.st_uid
        if link.st_uid not in (own, folder.st_uid):  # the kernel's own rule for folders that all may write
            raise OutputError(f"{path} is a link of another user", hint="name another file")
        path = path.parent / os.readlink(path)
    raise OutputError(f"{path}: is a link that leads in a circle", hint="name another file")


def _check_target(path: Path) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a folder", hint="name a file in it")
    if path.exists() and not os.access(path, os.W_OK):
        raise OutputError(f"{path} is write-protected", hint="name another file")


def _create(path: Path) -> tuple[Path, int]:
    """A new empty file beside `path`, open, locked, with the rights that `path` has or a new file would."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        part = path.with_name(f"{_stem(path)}.va-{os.urandom(4).hex()}.part")
        with suppress(FileExistsError):
            fd = os.open(part, flags, 0o666)
            if not _locked(fd, part):  # another process took it for a dead one and removed it
                os.close(fd)
                continue
            if path.exists() and hasattr(os, "fchmod"):
                with suppress(OSError):
                    os.fchmod(fd, stat.S_IMODE(path.stat().st_mode))
            return part, fd


def _locked(fd: int, part: Path) -> bool:
    """Take the lock; False where the file has lost its name meanwhile. No lock where there are none."""
    if fcntl is None:
        return True
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX)
    with suppress(OSError):
        return os.path.samestat(os.fstat(fd), os.lstat(part))
    return False


@lru_cache(maxsize=64)
def _leftovers(folder: Path) -> tuple[str, ...]:
    """Drafts in a folder, looked up once: it may hold many files."""
    with suppress(OSError):
        return tuple(name for name in os.listdir(folder) if DRAFT.search(name))
    return ()


def _remove_if_dead(part: Path) -> None:
    """Remove a draft that nobody holds the lock of."""
    if fcntl is None:
        return
    with suppress(OSError):
        fd = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()
        finally:
            os.close(fd)


def _stem(path: Path) -> str:
    return f".{_short(path)}"


def _short(path: Path) -> str:
    """A file's name, cut to SHORT_BYTES between two characters."""
    raw = os.fsencode(path.name)
    return path.name if len(raw) <= SHORT_BYTES else raw[:SHORT_BYTES].decode("utf-8", "ignore")


def _sync(part: Path) -> None:
    with open(part, "rb") as file:
        os.fsync(file.fileno())
