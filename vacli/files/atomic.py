"""Files that appear whole or not at all.

write_text, write_bytes   write a small file at once
staged_writer             a file object; its content replaces the file at the end
refuse_existing           an error for files that a user has not allowed to replace
staged_file               a temporary path for a library to write; it replaces the file at the end
Draft                     the same without a context manager, for output that is kept after an interruption
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TextIO

from vacli.errors import OutputError
from vacli.files.disk_space import report_write_errors

try:
    import fcntl
except ImportError:  # Windows: drafts of killed processes stay
    fcntl = None  # type: ignore[assignment]

NAME_BYTES = 100  # of the target's name in the name of a draft: some file systems allow 143
DRAFT_NAME = re.compile(r"\.va-[0-9a-f]{8}\.part$")
MAX_LINKS = 40  # the limit of the Linux kernel


class Draft:
    """A temporary file beside `path` that replaces `path` when it is complete.

    A link of the user is followed to its target. `create` makes the file, so that a caller can first enter
    the block that removes it. `fd` is then open for reading and writing and is closed by `commit`, `discard`
    and `keep`. A draft in use is locked, so `commit` can remove the drafts that killed processes left for the
    same target. Raises OutputError for a target that cannot be replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = _resolve_link(path)
        self.part = _draft_path(self.path)
        self.fd = -1
        self._is_kept = False
        with report_write_errors(path):
            _check_target(self.path)

    def create(self) -> Draft:
        """Make the file, if it is not there yet. Raises OutputError if the folder cannot be written."""
        with report_write_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while self.fd < 0:
                with suppress(FileExistsError):
                    self.fd = _open_locked(self.part)
                if self.fd < 0:
                    self.part = _draft_path(self.path)
            _copy_permissions(self.path, self.fd)
        return self

    def commit(self) -> None:
        """Replace `path`. Raises OutputError if that fails; the draft is then kept under another name."""
        try:
            os.fsync(self.fd)
            self._release_on_windows()
            os.replace(self.part, self.path)
        except OSError as error:
            kept = self.keep()
            raise OutputError(
                f"{self.path} cannot be replaced: {error.strerror}; the new content is in {kept}",
                hint="name another file",
            ) from error
        self._close()
        for name in _leftovers(self.path.parent):
            if name.startswith(_draft_prefix(self.path)):
                _remove_if_dead(self.path.parent / name)

    def discard(self) -> None:
        """Remove the draft and leave `path` unchanged; no effect after `commit` or `keep`."""
        if self._is_kept:
            return
        self._release_on_windows()
        with suppress(OSError):
            self.part.unlink(missing_ok=True)
        self._close()

    def keep(self) -> Path | None:
        """Rename it to PATH.partial or the next free name, which is returned.

        None for an empty draft, which is removed, and for one that another process has kept or removed.
        """
        if not os.path.exists(self.part) or not self.part.stat().st_size:
            self.discard()
            return None
        self._is_kept = True
        self._release_on_windows()
        for number in range(1, 1000):
            name = self.path.with_name(
                f"{_short_name(self.path)}.partial{f'-{number}' if number > 1 else ''}"
            )
            if not os.path.lexists(name):
                with suppress(OSError):
                    os.rename(self.part, name)
                    self.part = name
                break
        self._close()
        return self.part

    def _release_on_windows(self) -> None:
        """Close the file: Windows neither renames nor removes an open one."""
        if os.name == "nt":
            self._close()

    def _close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def refuse_existing(paths: Iterable[Path], force: bool) -> None:
    """Raise OutputError if one of the paths exists, unless `force` is given."""
    for path in paths:
        if not force and os.path.lexists(path):
            raise OutputError(f"{path} exists", hint="use --force to replace it, or name another file")


@contextmanager
def staged_file(path: Path, need_bytes: int | None = None) -> Iterator[Path]:
    """A temporary path for a library to write; renamed to `path` at the end, removed after an error.

    Its suffix is not that of `path`. need_bytes: the final size, if known, for the message of a full disk.
    Raises OutputError.
    """
    draft = Draft(path)
    try:
        with report_write_errors(path, need_bytes):
            yield draft.create().part
            _sync(draft.part)
            draft.commit()
    except BaseException:
        draft.discard()
        raise


@contextmanager
def staged_writer(path: Path) -> Iterator[TextIO]:
    """A text file object whose content, as UTF-8, replaces `path` at the end. Raises OutputError."""
    with staged_file(path) as part, open(part, "w", -1, "utf-8", "surrogateescape", "") as stream:
        yield stream


def write_text(path: Path, text: str) -> None:
    """Replace a file by UTF-8 text. Raises OutputError."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file by bytes. Raises OutputError."""
    with staged_file(path, len(data)) as part:
        part.write_bytes(data)


def _resolve_link(path: Path) -> Path:
    """The target of a link. Raises OutputError for a circle of links or a link of another user."""
    for _ in range(MAX_LINKS):
        if not path.is_symlink():
            return path
        link, folder = os.lstat(path), os.stat(path.parent)
        own = os.geteuid() if hasattr(os, "geteuid") else link.st_uid
        if link.st_uid not in (own, folder.st_uid):  # as Linux does in shared folders (fs.protected_symlinks)
            raise OutputError(f"{path} is a link of another user", hint="name another file")
        path = path.parent / os.readlink(path)
    raise OutputError(f"{path} is a link to itself", hint="name another file")


def _check_target(path: Path) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a folder", hint="name a file in it")
    if path.exists() and not os.access(path, os.W_OK):
        raise OutputError(f"{path} is write-protected", hint="name another file")


def _draft_path(path: Path) -> Path:
    return path.with_name(f"{_draft_prefix(path)}.va-{os.urandom(4).hex()}.part")


def _open_locked(part: Path) -> int:
    """A new empty file, open and locked; -1 if another process has removed it as a leftover."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(part, flags, 0o666)
    if _lock(fd, part):
        return fd
    os.close(fd)
    return -1


def _copy_permissions(path: Path, fd: int) -> None:
    """Give an open file the permissions of `path`, if there is one."""
    if path.exists() and hasattr(os, "fchmod"):
        with suppress(OSError):
            os.fchmod(fd, stat.S_IMODE(path.stat().st_mode))


def _lock(fd: int, part: Path) -> bool:
    """Lock a file if the system has locks; False if another process has removed the file since."""
    if fcntl is None:
        return True
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX)
    with suppress(OSError):
        return os.path.samestat(os.fstat(fd), os.lstat(part))
    return False


@lru_cache(maxsize=64)
def _leftovers(folder: Path) -> tuple[str, ...]:
    """Names of drafts in a folder; cached, since the folder may hold many files."""
    with suppress(OSError):
        return tuple(name for name in os.listdir(folder) if DRAFT_NAME.search(name))
    return ()


def _remove_if_dead(part: Path) -> None:
    """Remove a draft whose lock is free."""
    if fcntl is None:
        return
    with suppress(OSError):
        fd = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()
        finally:
            os.close(fd)


def _draft_prefix(path: Path) -> str:
    return f".{_short_name(path)}"


def _short_name(path: Path) -> str:
    """A file's name, cut to NAME_BYTES between two characters."""
    raw = os.fsencode(path.name)
    return path.name if len(raw) <= NAME_BYTES else raw[:NAME_BYTES].decode("utf-8", "ignore")


def _sync(part: Path) -> None:
    with open(part, "rb") as file:
        os.fsync(file.fileno())
